/**
 * Errors named by what happens next (docs/architecture.md, "Errors").
 *
 * NotificationError: the session sends it and goes Idle (thrown in codecs, caught in the session, nowhere else).
 * AttributeFault: a value; the strongest one of an UPDATE decides (RFC 7606 §2, §3).
 */

/** Ends one BGP session with a NOTIFICATION (RFC 4271 §6). `data` is the NOTIFICATION's data field. */
export class NotificationError extends Error {
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
  /** Attribute type code of an UPDATE error, -1 where no attribute is to blame. */
  readonly attribute: number
  constructor(code: number, subcode: number, message: string, data: Uint8Array = NO_DATA, attribute = -1) {
    super(message)
    this.name = 'NotificationError'
    this.code = code
    this.subcode = subcode
    this.data = data
    this.attribute = attribute
  }
}

export const NO_DATA: Uint8Array = new Uint8Array(0)

/** RFC 7606 §2, weakest first. */
export type FaultApproach = 'attribute-discard' | 'treat-as-withdraw' | 'session-reset'

export interface AttributeFault {
  readonly approach: FaultApproach
  /** Attribute type code, or -1 where the fault is of the whole block. */
  readonly attribute: number
  /** What is wrong, in words, with the rule at the end: `ORIGIN: length 2 is not 1 (RFC 7606 §7.1)`. */
  readonly reason: string
  /** A length overruns the block: what follows the attribute is unknown (RFC 7606 §4). */
  readonly cut?: true
  /** Code, subcode and data for a session-reset fault. */
  readonly notification?: { readonly code: number; readonly subcode: number; readonly data: Uint8Array }
}

/** A reason without its rule, and the rule: the last parentheses, where they name an RFC or a configuration key; else empty. */
export function splitReason(reason: string): { readonly what: string; readonly rule: string } {
  const found = /^(.*\S) \(((?:RFC \d+|neighbors\[\])[^()]*)\)$/s.exec(reason)
  return found === null ? { what: reason, rule: '' } : { what: found[1]!, rule: found[2]! }
}

/** A bug in this program: logged, and the process ends. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'InvariantError'
  }
}

export function unreachable(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)}`)
}
