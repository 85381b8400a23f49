/**
 * Edge: reads the configuration file and asks the host for what the file leaves open.
 */
import { readFileSync, statSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { isIpv4Text, parseIpv4 } from '../net/address.js'
import { parseConfig, routerIdHash } from './parse.js'
import type { Environment } from './source.js'
import type { ConfigResult } from './types.js'

export interface LoadOptions {
  readonly env?: Environment
  /** On reload: the running router id, so that a new interface cannot change what the file leaves open. */
  readonly defaultRouterId?: (nodeName: string) => number
  /** The file was read before: a reload. */
  readonly again?: boolean
}

/** Never throws for anything that is wrong with the file. */
export function loadConfig(file: string, options: LoadOptions = {}): ConfigResult {
  let text: string
  try {
    const found = statSync(file)
    // /dev/zero never ends. A pipe, as of `check <(…)`, does, but only once: a daemon that asked again would wait for ever.
    if (found.isCharacterDevice() || found.isBlockDevice())
      return unreadable(file, 'it is a device; give the path of a file')
    if (options.again === true && found.isFIFO())
      return unreadable(
        file,
        'it is a pipe, which can be read only once; start the daemon with a file to be able to reload',
      )
    if (found.size > MAX_FILE_OCTETS) return unreadable(file, `it is larger than ${MAX_FILE_OCTETS / 1_048_576} MiB`)
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (error) {
    return unreadable(file, reasonOf(error))
  }
  return parseConfig(text, file, options.env ?? process.env, {
    defaultRouterId: options.defaultRouterId ?? defaultRouterId,
    hostName: hostname(),
    readSecret,
  })
}

/** A file with a password. */
function readSecret(path: string): Uint8Array {
  try {
    const { size } = statSync(path)
    if (size > MAX_SECRET_OCTETS) throw new Error(`it holds ${size} octets; a password has at most 80`)
    return readFileSync(path)
  } catch (error) {
    throw new Error(`${path} cannot be read: ${secretReason(error)}`)
  }
}

function secretReason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'no such file; make it, or correct the path'
  return code === 'EISDIR' ? 'it is a directory; give the path of a file' : reasonOf(error)
}

/** The first global IPv4 address of this machine (not loopback, not link-local), else a hash of the node's name. */
export function defaultRouterId(nodeName: string): number {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, internal } of addresses ?? []) {
      if (!internal && isIpv4Text(address) && !LOCAL_ONLY.test(address)) return parseIpv4(address)
    }
  }
  return routerIdHash(nodeName)
}

function unreadable(file: string, message: string): ConfigResult {
  return { ok: false, problems: [{ file, line: 0, column: 0, path: '', message: `cannot be read: ${message}` }] }
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'no such file; give the path of a configuration file (bgp.example.yaml is a start)'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied; run as a user who may read it, or change its mode'
    case 'EISDIR':
      return 'it is a directory; give the path of a file'
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'it is not UTF-8 text'
    default:
      return (error as Error).message
  }
}

/** More than any password, and less than a file that was meant for something else. */
const MAX_SECRET_OCTETS = 4096
const MAX_FILE_OCTETS = 16 * 1_048_576
const LOCAL_ONLY = /^(127\.|169\.254\.|0\.)/
