/**
 * Text of addresses that name their link (RFC 4007 §11): `fe80::1%eth0`.
 */

/** The address, and its interface; null where it names none. */
export function splitZone(text: string): readonly [address: string, zone: string | null] {
  const percent = text.indexOf('%')
  return percent < 0 ? [text, null] : [text.slice(0, percent), text.slice(percent + 1)]
}

/** The address alone. */
export function withoutZone(text: string): string {
  const percent = text.indexOf('%')
  return percent < 0 ? text : text.slice(0, percent)
}
