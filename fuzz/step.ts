/** Octets from one of the senders. */
export interface Step {
  /** Index into SENDERS. */
  readonly sender: number
  readonly bytes: Uint8Array
  /** In pieces of so many octets; 0: at once. */
  readonly cut: number
}

/** Makes steps; what it makes may depend on where the senders' sessions stand. Sources are put together in source.ts. */
export interface MessageSource {
  next(): Step
}
