/**
 * A password. Whatever prints, logs or serializes it shows that there is one and nothing else; only who asks for the octets gets them.
 */
export class Secret {
  readonly #octets: Uint8Array

  constructor(octets: Uint8Array) {
    this.#octets = octets
  }

  /** 1 to 80 octets. */
  get octets(): Uint8Array {
    return this.#octets
  }

  equals(other: Secret): boolean {
    const theirs = other.#octets
    return this.#octets.length === theirs.length && this.#octets.every((octet, i) => octet === theirs[i])
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return HIDDEN
  }
}

const HIDDEN = '(secret)'
