/** Secrets are compared in constant time, and nowhere else: found in the syntax trees. */
import { parseSync, Visitor } from 'oxc-parser';
import { describe, expect, test } from 'vitest';
import { layers, readText, sourcesOf } from '../support/project.ts';

/** Names of what must not be compared byte by byte: whoever measures would learn where the first difference is. */
const secretName =
  /(?:^|[a-z])(?:mac|hmac|commitment|secret|passphrase|password|masterKey|wrapped|authTag|fingerprint|material)(?:$|[A-Z])|(?:Mac|Hmac|Commitment|Secret|Passphrase|Password|MasterKey|Wrapped|AuthTag|Fingerprint|Material)(?:$|[A-Z0-9])/;
/** Of these only the number of bytes, the type or the presence is compared. */
const harmless =
  /^(?:length|kind|size|type|number|newestSecret)$|(?:Numbers?|Bytes|BytesMax|Count)$/;
const comparisons = new Set(['===', '!==', '==', '!=', '<', '>', '<=', '>=']);
/** Functions and methods that stop at the first difference. */
const earlyStops = new Set(['equalBytes', 'firstDifference', 'compareBytes']);
const earlyStopMethods = new Set([
  'equals',
  'compare',
  'localeCompare',
  'startsWith',
  'endsWith',
  'indexOf',
  'includes',
  'every',
  'some',
]);

/**
 * Comparisons that look like one of a secret and are none: file and text, and why.
 */
const reasons: Readonly<Record<string, string>> = {
  'src/engine/identity.ts toHex(mac) !== file.mac':
    'one MAC read twice from the same file: whether its hex has its one spelling',
  'src/engine/keyring.ts secret === newest': 'two objects, not their bytes',
};

type Node = { readonly type: string; readonly start: number; readonly end: number };

/** The identifier that an expression ends with: `slot.commitment` → commitment, `macOf(x)` → macOf. */
function nameOf(node: unknown): string | undefined {
  const found = node as Node & Record<string, unknown>;
  switch (found?.type) {
    case 'Identifier':
    case 'PrivateIdentifier':
      return found['name'] as string;
    case 'MemberExpression':
      return nameOf(found['property']);
    case 'CallExpression': {
      const callee = found['callee'] as Node & Record<string, unknown>;
      // A view of a secret is the secret: mac.subarray(…), key.expose().
      const method = callee.type === 'MemberExpression' ? nameOf(callee['property']) : undefined;
      if (
        method === 'subarray' ||
        method === 'slice' ||
        method === 'toString' ||
        method === 'finish'
      )
        return nameOf(callee['object']);
      if (method === 'expose') return 'secret';
      return nameOf(callee);
    }
    case 'TSAsExpression':
    case 'TSNonNullExpression':
    case 'ParenthesizedExpression':
    case 'ChainExpression':
      return nameOf(found['expression']);
    default:
      return undefined;
  }
}

const isLiteral = (node: unknown): boolean => {
  const { type, name } = node as { type: string; name?: string };
  return (
    type === 'Literal' ||
    type === 'UnaryExpression' ||
    (type === 'Identifier' && name === 'undefined')
  );
};

const isSecret = (node: unknown): boolean => {
  const name = nameOf(node);
  return name !== undefined && !harmless.test(name) && secretName.test(name);
};

/** Comparisons of secrets in a program's text by other means than constantTimeEqual. */
function comparisonsOfSecrets(path: string, text: string): string[] {
  const found: string[] = [];
  const report = (node: Node): void => {
    const line = text.slice(0, node.start).split('\n').length;
    found.push(`${path}:${line} ${text.slice(node.start, node.end).replaceAll(/\s+/g, ' ')}`);
  };
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0]?.message}`);
  new Visitor({
    BinaryExpression: (node) => {
      if (!comparisons.has(node.operator)) return;
      // Whether there is one, or of which kind, is no secret.
      if (isLiteral(node.left) || isLiteral(node.right)) return;
      if (isSecret(node.left) || isSecret(node.right)) report(node);
    },
    CallExpression: (node) => {
      const { callee } = node;
      const operands: unknown[] = [...node.arguments];
      if (callee.type === 'Identifier' && earlyStops.has(callee.name)) {
        if (operands.some(isSecret)) report(node);
        return;
      }
      if (callee.type !== 'MemberExpression' || callee.computed) return;
      const method = nameOf(callee.property) ?? '';
      if (!earlyStopMethods.has(method)) return;
      if (isSecret(callee.object) || operands.some(isSecret)) report(node);
    },
  }).visit(program);
  return found;
}

describe('the finder', () => {
  test.each([
    'if (mac === expected) {}',
    'if (expected !== slot.commitment) {}',
    'equalBytes(macOf(bytes), bytes.subarray(0, 32))',
    'equalBytes(x, file.keyringMac.subarray(1))',
    'firstDifference(key.expose(), other)',
    'Buffer.compare(hmac, given)',
    'tag.authTag.equals(other)',
    'wrapped.every((byte, index) => byte === other[index])',
    'this.#passphrase === given',
    '(secret as Uint8Array) == other',
    'a.masterKey.localeCompare(b)',
    'requestFingerprint < other',
  ])('finds %s', (text) => {
    expect(comparisonsOfSecrets('probe.ts', text)).toHaveLength(1);
  });

  test.each([
    'constantTimeEqual(mac, expected)',
    'mac.length === 32',
    'if (mac === undefined) {}',
    "typeof secret === 'string'",
    'slot.kind === other.kind',
    'equalBytes(chainHash, expected)',
    'machine === other',
    'secretNumber === newest',
    'commitments.length > 0',
  ])('leaves %s', (text) => {
    expect(comparisonsOfSecrets('probe.ts', text)).toEqual([]);
  });
});

test('no layer compares a secret but in constant time', () => {
  const found = layers()
    .flatMap(sourcesOf)
    .flatMap((path) => comparisonsOfSecrets(path, readText(path)));
  const unexplained = found.filter((line) => !(line.replace(/:\d+ /, ' ') in reasons));
  expect(unexplained).toEqual([]);
  const shown = new Set(found.map((line) => line.replace(/:\d+ /, ' ')));
  expect(Object.keys(reasons).filter((line) => !shown.has(line))).toEqual([]);
});
