/**
 * GRACEFUL_SHUTDOWN (RFC 8326): a session that is about to go is made the last choice on both ends first, so that traffic has moved when it goes.
 */
import type { PathAttributes } from '../bgp/attributes/path-attributes.js'
import { STANDARD_OCTETS, union } from './policy-communities.js'

/** The attributes with the community; `localPref`: and LOCAL_PREF 0 (§4.2, for internal peers and for what we learned ourselves). */
export function withGracefulShutdown(attributes: PathAttributes, localPref: boolean): PathAttributes {
  const communities = union(attributes.communities ?? NONE, GRACEFUL_SHUTDOWN, STANDARD_OCTETS)
  return localPref ? { ...attributes, communities, localPref: 0 } : { ...attributes, communities }
}

/** 65535:0. */
const GRACEFUL_SHUTDOWN = Uint8Array.of(0xff, 0xff, 0, 0)
const NONE: Uint8Array = new Uint8Array(0)
