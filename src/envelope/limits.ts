/** Bounds of the envelope. Exceeding one is an error before memory is taken. */
export const envelopeLimits = {
  /** Largest plaintext of a blob. */
  plaintextBytesMax: 256 << 20,
  /** Largest context, encoded. */
  contextBytesMax: 4_096,
  contextPartsMax: 16,
  /** The id of a KEK, in UTF-8 bytes. */
  kekIdBytesMax: 255,
  /** KEKs of a ring. */
  keksMax: 1_024,
} as const;
