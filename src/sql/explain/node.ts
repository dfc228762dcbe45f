/** One step of a plan as EXPLAIN shows it. */
export interface PlanNode {
  readonly label: string;
  readonly details: readonly string[];
  readonly children: readonly PlanNode[];
}

const stepWidth = 6;

/** The lines of a plan, in PostgreSQL's shape. */
export function planLines(node: PlanNode, depth = 0): string[] {
  const start = depth === 0 ? '' : `${' '.repeat((depth - 1) * stepWidth + 2)}->  `;
  const inner = ' '.repeat(depth * stepWidth + 2);
  return [
    `${start}${node.label}`,
    ...node.details.map((detail) => `${inner}${detail}`),
    ...node.children.flatMap((child) => planLines(child, depth + 1)),
  ];
}
