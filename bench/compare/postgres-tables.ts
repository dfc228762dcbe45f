/** What PostgreSQL is asked: the table of rows.ts, an audit trail in a hash chain, and pgbench's script. */
import { createTable } from '../rows.ts';
import { createIndex } from './ours.ts';

/**
 * The trail that VerityDB replaces. Every change is appended as jsonb, and its hash covers the one before it; so
 * each transaction takes the head of the chain and keeps it until it has committed.
 */
const auditTrail = `
CREATE TABLE audit (
  seq bigint PRIMARY KEY, at timestamptz NOT NULL, actor text NOT NULL, relation text NOT NULL,
  operation text NOT NULL, old_row jsonb, new_row jsonb, prev_hash bytea NOT NULL, hash bytea NOT NULL);
CREATE TABLE audit_head (id boolean PRIMARY KEY CHECK (id), seq bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO audit_head VALUES (true, 0, sha256(''));
CREATE FUNCTION audit_hash(entry audit) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
  SELECT sha256(entry.prev_hash || convert_to(concat_ws('|', entry.seq, extract(epoch FROM entry.at),
    entry.actor, entry.relation, entry.operation, coalesce(entry.old_row::text, ''),
    coalesce(entry.new_row::text, '')), 'UTF8'))
$$;
CREATE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  head audit_head;
  entry audit;
BEGIN
  SELECT * INTO head FROM audit_head FOR UPDATE;
  entry.seq := head.seq + 1;
  entry.at := clock_timestamp();
  entry.actor := session_user;
  entry.relation := TG_TABLE_NAME;
  entry.operation := TG_OP;
  IF TG_OP <> 'INSERT' THEN entry.old_row := to_jsonb(OLD); END IF;
  IF TG_OP <> 'DELETE' THEN entry.new_row := to_jsonb(NEW); END IF;
  entry.prev_hash := head.hash;
  entry.hash := audit_hash(entry);
  INSERT INTO audit SELECT entry.*;
  UPDATE audit_head SET seq = entry.seq, hash = entry.hash;
  RETURN NULL;
END
$$;
CREATE TRIGGER visits_audit AFTER INSERT OR UPDATE OR DELETE ON visits
  FOR EACH ROW EXECUTE FUNCTION audit_change();`;

/** What makes the tables of a database. */
export function definitions(options: { readonly indexed: boolean; readonly audited: boolean }) {
  return [createTable, options.indexed ? createIndex : '', options.audited ? auditTrail : '']
    .filter((text) => text !== '')
    .join(';\n');
}

/**
 * One row a transaction. pgbench knows numbers only: the server puts the text together, from constants, and makes the
 * key.
 */
export const pgbenchScript = `\\set first random(1, 8)
\\set last random(1, 8)
\\set number random(0, 9999)
\\set duration random(0, 19999)
\\set seen random(0, 31535999)
\\set cost random(0, 9999999) / 100.0
INSERT INTO visits VALUES (gen_random_uuid(), (ARRAY['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Frances', 'Niklaus', 'Radia'])[:first] || ' ' || (ARRAY['Lovelace', 'Hopper', 'Dijkstra', 'Liskov', 'Knuth', 'Allen', 'Wirth', 'Perlman'])[:last] || ' ' || :number::text, :duration, timestamptz '2026-01-01 00:00:00+00' + :seen * interval '1 second', :cost);
`;

/** How many rows there are, and how many of them are not as the script makes them. */
export const checkRows = `SELECT count(*), count(*) FILTER (WHERE NOT coalesce(
  patient ~ '^[A-Z][a-z]+ [A-Z][a-z]+ [0-9]{1,4}$' AND duration BETWEEN 0 AND 19999
  AND seen >= '2026-01-01 00:00:00+00' AND seen < '2027-01-01 00:00:00+00' AND cost BETWEEN 0 AND 100000, false)),
  count(DISTINCT patient) > 1 AND count(DISTINCT cost) > 1 FROM visits`;

/** How many entries the trail has, how many of them break the chain, and whether the head is the last one. */
export const checkTrail = `SELECT count(*), count(*) FILTER (WHERE
  hash <> audit_hash(ROW(seq, at, actor, relation, operation, old_row, new_row, prev_hash, hash)::audit)
  OR prev_hash <> before OR seq <> place), (SELECT seq FROM audit_head) = count(*)
  FROM (SELECT *, lag(hash, 1, sha256('')) OVER (ORDER BY seq) AS before,
    row_number() OVER (ORDER BY seq) AS place FROM audit) AS trail`;
