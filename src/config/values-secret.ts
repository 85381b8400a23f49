/**
 * Passwords, and where they come from. As in values.ts, a ValueError says what is expected; it never holds the password.
 */
import { Secret } from './secret.js'
import { ValueError } from './values.js'

/** TCP MD5 (RFC 2385). False: none, where a template has one. The value is never part of a message. */
export function password(value: unknown): Secret | false {
  if (value === false) return false
  const string = typeof value === 'number' ? String(value) : value
  if (typeof string !== 'string') throw new ValueError('a password as text (in quotes), or false')
  return secretOf(new TextEncoder().encode(string))
}

/** What a file or a variable holds; the end of the last line is not part of it. */
export function passwordText(octets: Uint8Array): Secret {
  let end = octets.length
  if (octets[end - 1] === 0x0a) end--
  if (octets[end - 1] === 0x0d && end < octets.length) end--
  return secretOf(octets.slice(0, end))
}

function secretOf(octets: Uint8Array): Secret {
  if (octets.length === 0) throw new ValueError('a password of 1 to 80 octets, not an empty one')
  if (octets.length > PASSWORD_MAX_OCTETS)
    throw new ValueError(
      `a password of 1 to ${PASSWORD_MAX_OCTETS} octets (more do not fit TCP MD5), not of ${octets.length}`,
    )
  if (octets.some((octet) => octet < 0x20 || octet === 0x7f))
    throw new ValueError('a password on one line, without control characters')
  return new Secret(octets)
}

export function secretFile(value: unknown): string {
  if (typeof value !== 'string' || !value.startsWith('/') || value.length > 4096 || value.includes('\0'))
    throw new ValueError('the absolute path of a file that holds the password')
  return value
}

export function variableName(value: unknown): string {
  if (typeof value !== 'string' || !VARIABLE_NAME.test(value))
    throw new ValueError('the name of an environment variable that holds the password, without $')
  return value
}

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
/** TCP_MD5SIG_MAXKEYLEN */
const PASSWORD_MAX_OCTETS = 80
