/** Samples of tables for the planner, taken when a statement is planned and kept until the log has grown. */
import { CorruptionError, type ObjectId, type TenantId } from '../base/index.ts';
import { type Catalog, sampleTable } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';

type Statistics = NonNullable<Catalog['statistics']>;
type TableStatistics = ReturnType<Statistics>;

interface Sample {
  readonly until: number;
  readonly version: number;
  readonly statistics: TableStatistics;
}

/** How many events a sample serves: half as many as there were, between these bounds. */
const eventsMin = 256;
const eventsMax = 100_000;

/**
 * What tables hold, roughly. A sample reads some hundred entries of the committed state, so it costs no write
 * anything. Plans rest on it, results never do.
 */
export class PlannerStatistics {
  readonly #view: ReadView;
  readonly #samples = new Map<TenantId, Map<ObjectId, Sample>>();

  constructor(view: ReadView) {
    this.#view = view;
  }

  /** For one statement that is planned when the log has `events` events; `until`: when it is to be planned anew. */
  reader(tenant: TenantId, events: number): { readonly read: Statistics; readonly until: number } {
    const until = events + Math.min(eventsMax, Math.max(eventsMin, events / 2));
    let samples = this.#samples.get(tenant);
    if (samples === undefined) this.#samples.set(tenant, (samples = new Map<ObjectId, Sample>()));
    const reader = {
      until: Infinity,
      read: (table: Parameters<Statistics>[0]): TableStatistics => {
        reader.until = until;
        const known = samples.get(table.id);
        if (known !== undefined && events < known.until && known.version === table.version)
          return known.statistics;
        const statistics = this.#sample(tenant, table);
        samples.set(table.id, { until, version: table.version, statistics });
        return statistics;
      },
    };
    return reader;
  }

  #sample(tenant: TenantId, table: Parameters<Statistics>[0]): TableStatistics {
    const sampled = unlessDamaged(() => sampleTable(this.#view, tenant, table));
    return (
      sampled && { ...sampled, distinct: (tree) => unlessDamaged(() => sampled.distinct(tree)) }
    );
  }
}

/** Undefined where a page is damaged: whoever needs that page meets it. */
function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CorruptionError) return undefined;
    throw error;
  }
}
