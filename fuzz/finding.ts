/** What an oracle has found: a fault of this program. */
export class Finding extends Error {
  /** Which oracle; shrinking keeps it. */
  readonly oracle: Oracle
  constructor(oracle: Oracle, detail: string) {
    super(`${oracle}: ${detail}`)
    this.name = 'Finding'
    this.oracle = oracle
  }
}

export type Oracle =
  | 'exception' // anything but a NotificationError came out
  | 'time' // a message took longer than its limit
  | 'notification' // two of them, or something sent after it
  | 'answer' // the model ends the session where the speaker does not, or with another code
  | 'table' // Adj-RIB-In differs from the model
  | 'downstream' // what others were sent differs from the model
  | 'show' // what was accepted cannot be shown
  | 'encode' // what was accepted does not survive encoding and decoding
  | 'memory' // something is left when all sessions are gone
