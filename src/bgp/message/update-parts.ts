/**
 * Where the parts of an UPDATE lie (RFC 4271 §4.3, RFC 4760 §3): offsets into the buffer, nothing copied. One instance is reused for all
 * UPDATEs (the hot path makes no objects).
 */
import type { AttributeFault } from '../errors.js'

export class UpdateParts {
  withdrawnStart = 0
  withdrawnEnd = 0
  attributesStart = 0
  attributesEnd = 0
  nlriStart = 0
  nlriEnd = 0
  /** MP_REACH_NLRI: -1 start when absent. */
  mpReachAfi = 0
  mpReachSafi = 0
  mpReachNextHopStart = -1
  mpReachNextHopEnd = -1
  mpReachNlriStart = -1
  mpReachNlriEnd = -1
  /** Whole attribute with its header, so that the rest of the block can be taken around it; -1 when absent. */
  mpReachAttributeStart = -1
  mpReachAttributeEnd = -1
  mpUnreachAfi = 0
  mpUnreachSafi = 0
  mpUnreachNlriStart = -1
  mpUnreachNlriEnd = -1
  mpUnreachAttributeStart = -1
  mpUnreachAttributeEnd = -1
  /** A fault of the framing of the attribute block (RFC 7606 §4, §5.2), or null. Session resets are thrown instead. */
  fault: AttributeFault | null = null
}
