/**
 * A member of an update group: an Established peer in one family, with its position in the group's log or the set of prefixes that it still has to hear.
 */
import { PrefixBits } from './prefix-bits.js'

/** The peer's socket as the group sees it. */
export interface MemberLink {
  /**
   * Writes whole messages in order, without copying; `taken` is called when the kernel has them, never after the session is gone. `messages`: how many.
   */
  send(chunks: readonly Uint8Array[], taken: () => void, messages: number): void
  /** There where the peer knows enhanced route refresh (RFC 7313): a BoRR or EoRR was among what was given to `send`. */
  readonly refreshMarked?: () => void
}

export class Member {
  /** Index of the RIB source of the same session: its own routes are never sent to it. */
  readonly source: number
  readonly name: string
  readonly link: MemberLink
  /**
   * following: reads the log from `position` on. behind: `bits` name the prefixes whose present state it has to hear (after joining, a route refresh, or
   * when it was too slow for the log).
   */
  state: 'following' | 'behind' = 'behind'
  position = 0
  readonly bits = new PrefixBits()
  /** Octets given to the socket and not yet taken. */
  inFlight = 0
  owesEndOfRib = true
  endOfRibSent = false
  /** A refresh was asked for: the table is marked when the socket has room. */
  refreshDue = false
  /** RFC 7313: a refresh was asked for before End-of-RIB was sent; it comes after that (§4). */
  refreshAfterEndOfRib = false
  /** BoRR has to come before anything else. */
  owesRefreshBegin = false
  /** BoRR was sent: EoRR comes when the member has heard the table. */
  owesRefreshEnd = false
  /** In the group's queue of members with something to send. */
  queued = false
  /** Left the group: callbacks of writes under way do nothing any more. */
  gone = false
  /** Log entries whose octets are in flight, oldest first. */
  readonly reading: { readonly from: number; readonly to: number }[] = []
  /** Came from another group: hears nothing before this group's table is complete. */
  waitsForTable = false
  octetsSent = 0

  constructor(source: number, name: string, link: MemberLink) {
    this.source = source
    this.name = name
    this.link = link
  }
}
