/** Every bound on input in one place. Exceeding one is an error before memory is taken. */
export const limits = {
  /** Longest SQL text, in UTF-8 bytes. */
  statementBytesMax: 1 << 20,
  /** Deepest nesting of expressions and subqueries. */
  statementDepthMax: 200,
  /** Tables, views, functions and queries in FROM that a statement reads, with those of its views and WITH at each use. */
  relationsMax: 500,
  /** Most parameters of a statement ($1 … $n). */
  parametersMax: 65_535,
  /** Most rows that a query with joins or subqueries looks at. */
  queryRowsReadMax: 20_000_000,
  /** Most rows that a statement holds at once, to sort, group, join, tell apart or change them; 256 characters of long values are one more. */
  queryRowsHeldMax: 2_000_000,
  /** Most bytes, roughly, of a result that is returned as a whole: 64 for a row, and its long values. */
  resultBytesMax: 256 << 20,
  /** Most keys of a query whose rows are proved. */
  provedKeysMax: 1_000,
  /** Largest single value within a row, encoded; a larger text, varchar, jsonb or bytea value is kept as a blob. */
  valueBytesMax: 1 << 20,
  /** Largest value kept as a blob, encoded. */
  blobBytesMax: 64 << 20,
  /** All values of one command that are kept as blobs, together. */
  commandBlobBytesMax: 256 << 20,
  /** Largest encoded row key. */
  keyBytesMax: 8 << 10,
  /** Largest encoded command (all its events together). */
  commandBytesMax: 16 << 20,
  /** Most events of one command. */
  commandEventsMax: 200_000,
  columnsMax: 1_000,
  /** Tables and indexes that a tenant may ever create. */
  objectsPerTenantMax: 1 << 20,
  /** Names of tenants, tables, columns, streams: UTF-8 bytes. */
  nameBytesMax: 255,
  actorBytesMax: 1_024,
  reasonBytesMax: 4_096,
  requestIdBytesMax: 4_096,
  /** How long, and for how many positions, the result of a command with a request id is repeated. */
  requestWindowMs: 86_400_000,
  requestWindowPositions: 10_000_000,
  /** Savepoints that a transaction has at a time. */
  savepointsMax: 10_000,
  /** Commands in one frame; at this many, or at 512 KiB of events, it is written at once. */
  frameCommandsMax: 32_768,
  /** Commands that wait, undecided, while the frame being gathered is full and two others are on their way. */
  commandsWaitingMax: 131_072,
  /** What their values may take together, encoded. */
  commandsWaitingBytesMax: 64 << 20,
} as const;
