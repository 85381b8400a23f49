/**
 * Passwords of neighbours: found where the configuration says, and judged together. The kernel takes the key of the longest prefix that an address lies in, and drops
 * what is not signed where there is one: a neighbour without a password inside a range with one could never connect.
 */

import { parseAddress } from '../net/address.js'
import { addressInPrefix, prefixContains } from '../net/prefix.js'
import { withoutZone } from '../net/zone.js'
import type { Report } from './report.js'
import type { Secret } from './secret.js'
import type { Environment } from './source.js'
import type { MergedKeys } from './templates.js'
import type { NeighborConfig, PrefixText } from './types.js'
import { ValueError } from './values.js'
import { passwordText } from './values-secret.js'

export const PASSWORD_KEYS = ['password', 'passwordFile', 'passwordEnv'] as const

/** Where passwords are found. */
export interface SecretSources {
  readonly env: Environment
  /** Octets of a file; throws an Error of a few words. */
  readonly readFile: (path: string) => Uint8Array
}

export function passwordOf({ keys, at }: MergedKeys, { env, readFile }: SecretSources, report: Report): Secret | null {
  const given = PASSWORD_KEYS.filter((key) => keys[key] !== undefined)
  const [key, other] = given
  if (key === undefined) return null
  if (other !== undefined) {
    report.problem(at(other), `${key} and ${other} are both set; keep one of them`)
    return null
  }
  const { password, passwordFile, passwordEnv } = keys
  if (password !== undefined) return password === false ? null : password
  try {
    if (passwordFile !== undefined) return passwordText(readFile(passwordFile))
    const value = env[passwordEnv!]
    // Not its name: somebody may have written the password itself.
    if (value === undefined) throw new Error('the environment variable that is named here is not set')
    return passwordText(new TextEncoder().encode(value))
  } catch (error) {
    const where = passwordFile ?? 'the environment variable that is named here'
    const what = error instanceof ValueError ? `${where} has to hold ${error.message}` : (error as Error).message
    report.problem(at(key), what)
    return null
  }
}

interface Placed {
  readonly neighbor: NeighborConfig
  readonly keys: MergedKeys
}

/** What neighbours mean for each other. */
export function checkPasswords(all: readonly Placed[], report: Report): void {
  const ranges = all.filter(({ neighbor }) => neighbor.range !== null && neighbor.password !== null)
  const seen = new Map<string, NeighborConfig>()
  for (const { neighbor, keys } of all) {
    const { name, address, range, password } = neighbor
    const place = keys.at(range === null ? 'address' : 'range')
    // A password that could not be read has been said already.
    const meant = PASSWORD_KEYS.some((key) => keys.keys[key] !== undefined && keys.keys[key] !== false)
    if (password === null && !meant) {
      const around = ranges.find((one) => contains(one.neighbor.range!, neighbor))
      if (around !== undefined)
        report.problem(
          place,
          `${name} has no password, but lies inside ${around.neighbor.name} (${around.neighbor.range!.text}, line ${report.lineOf(around.keys.at('range'))}), which has one: the kernel would drop its connections; give it a password (the same, or its own, which then counts), or take it out of that range`,
        )
    }
    // The kernel tells link-local neighbours apart by address only.
    if (address === null || !address.includes('%')) continue
    const bare = withoutZone(address)
    const first = seen.get(bare)
    if (first === undefined) seen.set(bare, neighbor)
    else if (differ(first.password, password))
      report.problem(
        place,
        `${name} and ${first.name} have the same link-local address on two interfaces; for the kernel they are one: give both the same password`,
      )
  }
}

function differ(a: Secret | null, b: Secret | null): boolean {
  return a === null || b === null ? a !== b : !a.equals(b)
}

/** The whole of `neighbor`'s addresses. */
function contains(range: PrefixText, { address, range: inner }: NeighborConfig): boolean {
  if (inner === null) return addressInPrefix(parseAddress(withoutZone(address!)), range)
  return inner !== range && prefixContains(range, inner)
}
