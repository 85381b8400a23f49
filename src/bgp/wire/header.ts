/** The message header (RFC 4271 §4.1): marker 16, length 2, type 1. */
export const HEADER_OCTETS = 19
/** RFC 4271 §4: without the Extended Message capability. */
export const MAX_MESSAGE_OCTETS = 4096
/** RFC 8654 §3: with it. */
export const EXTENDED_MESSAGE_OCTETS = 65535
