/** Text from a peer, fit for a log line or a terminal: control and format characters (bidi and the like) become spaces. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, ' ')
}
