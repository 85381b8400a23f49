/**
 * Tests that need programs or rights the machine may lack: skipped by name with the command that would help, or failed where
 * NODEBGP_REQUIRE_INTEROP=1 says that everything has to be there (CI).
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'

export interface Requirement {
  /** Programs, all of them needed: `bird`, `gobgpd`, or an absolute path. */
  readonly commands?: readonly string[]
  /** Debian packages that bring them. */
  readonly packages?: readonly string[]
  /** Needs root, for network namespaces. */
  readonly root?: boolean
}

/** The part of a tap test that is used here. */
interface Reporter {
  pass(message: string, extra: { skip: string }): unknown
  fail(message: string): unknown
}

/** True: go on. False: the test has been reported as skipped (or failed) and returns. */
export function requireOrSkip(t: Reporter, requirement: Requirement): boolean {
  const reason = whatIsMissing(requirement)
  if (reason === '') return true
  if (process.env['NODEBGP_REQUIRE_INTEROP'] === '1') t.fail(reason)
  else t.pass('requirements', { skip: reason })
  return false
}

/** What is missing and what to do about it, in one line; empty when all is there. */
export function whatIsMissing(requirement: Requirement): string {
  const reasons: string[] = []
  const missing = (requirement.commands ?? []).filter((command) => findCommand(command) === null)
  if (missing.length > 0) {
    const packages = (requirement.packages ?? []).join(' ')
    const help = packages === '' ? '' : `: apt-get install --no-install-recommends ${packages}`
    reasons.push(`${missing.join(', ')} not found${help}`)
  }
  if (requirement.root === true && process.getuid?.() !== 0) reasons.push('needs root: run the tests as root')
  return reasons.join('; ')
}

/** Absolute path of a program, or null. Also looks where daemons live and PATH of a plain user does not reach. */
export function findCommand(command: string): string | null {
  if (command.startsWith('/')) return isExecutable(command) ? command : null
  for (const folder of [...(process.env['PATH'] ?? '').split(':'), ...DAEMON_FOLDERS]) {
    const path = join(folder === '' ? '.' : folder, command)
    if (isExecutable(path)) return path
  }
  return null
}

function isExecutable(path: string): boolean {
  if (!existsSync(path)) return false
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const DAEMON_FOLDERS: readonly string[] = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/lib/frr']
