/** Which PKCS#11 token, and how to log in to it. */
export interface TokenPlace {
  /** Path of the token's module (a shared library). */
  readonly module: string;
  /** The token, by its label or the id of its slot: one of the two. */
  readonly tokenLabel?: string;
  readonly slot?: number;
  readonly pin: string;
}
