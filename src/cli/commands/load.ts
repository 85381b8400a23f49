/** `nodebgp load`: simulated neighbours against a BGP speaker. Exit codes: 0 converged and right, 1 not, 2 usage, 3 the target cannot be reached. */
import { lookup } from 'node:dns/promises'
import type { CommandModule } from 'yargs'
import type { PrefixText } from '../../config/types.js'
import { makePlan, type Plan, UsageError } from '../../load/plan.js'
import { makeProgress } from '../../load/progress.js'
import { formatReport } from '../../load/report.js'
import { CannotConnect, runLoad } from '../../load/run.js'
import { type LoopProbe, loopDelayOf } from '../../load/target-loop.js'
import type { LoadOptions, Workload } from '../../load/types.js'
import { parseAddress } from '../../net/address.js'
import { Family } from '../../net/family.js'
import { parsePrefix } from '../../net/prefix.js'
import { Client } from '../client.js'
import { CommandError, Exit } from '../exit.js'
import { type Arguments, print, printJson } from '../options.js'

export const loadCommand: CommandModule = {
  command: 'load',
  describe:
    'simulated neighbours against any BGP speaker: convergence, withdrawal and churn, with every route verified',
  builder: (yargs) =>
    yargs
      .option('target', { type: 'string', demandOption: true, requiresArg: true, describe: 'HOST:PORT or [IPV6]:PORT' })
      .option('asn', { type: 'number', demandOption: true, describe: "the target's AS" })
      .option('workload', { choices: WORKLOADS, default: 'fanout', describe: 'what is done (docs/load.md)' })
      .option('peers', { type: 'number', describe: 'announcing neighbours [default: 300; table: 1]' })
      .option('receivers', { type: 'number', describe: 'more neighbours that only receive [default: 0; table: 1]' })
      .option('routes', {
        type: 'number',
        describe: 'prefixes of each announcing neighbour [default: 4; table: 100000]',
      })
      .option('attribute-sets', {
        type: 'number',
        describe: 'of each announcing neighbour [default: 1; table: about a sixth]',
      })
      .option('ebgp', {
        type: 'boolean',
        default: false,
        describe: 'each neighbour has an AS of its own, from 4200000000',
      })
      .option('peer-asn', { type: 'number', describe: "the neighbours' AS [default: the target's]" })
      .option('local-addresses', { type: 'string', describe: 'range of their addresses [on loopback: 127.1.0.0/16]' })
      .option('source', { type: 'string', describe: 'their addresses one by one: A,B,…' })
      .option('ipv6', { type: 'boolean', default: false, describe: 'IPv6 routes' })
      .option('prefixes', { type: 'string', describe: 'the range that is announced from [10.0.0.0/8; fd00:10::/32]' })
      .option('block-length', { type: 'number', describe: 'length of each prefix [26; 64]' })
      .option('next-hops', {
        type: 'string',
        describe: 'range of next hops [their addresses; on loopback 172.29.0.0/16]',
      })
      .option('expect-next-hop', {
        choices: ['keep', 'self', 'any'],
        describe: 'what is right [iBGP: keep; eBGP: self]',
      })
      .option('expect-attributes', { choices: ['keep', 'any'], describe: 'what is right [iBGP: keep; eBGP: any]' })
      .option('hold-time', { type: 'number', default: 90, describe: 'seconds; 0 or 3 to 65535' })
      .option('window', { type: 'number', default: 64, describe: 'sessions opened at a time' })
      .option('rate', { type: 'number', default: 1000, describe: 'churn: changes per second' })
      .option('seconds', { type: 'number', default: 10, describe: 'churn: how long' })
      .option('seed', { type: 'number', default: 1, describe: 'table: the same seed, the same table' })
      .option('timeout', { type: 'number', default: 60, describe: 'seconds for each phase' })
      .option('withdraw', {
        type: 'boolean',
        default: true,
        describe: 'withdraw all at the end; --no-withdraw leaves that out',
      })
      .option('allow-other', { type: 'boolean', default: false, describe: "the target's own routes are no fault" })
      .option('strict', { type: 'boolean', default: false, describe: 'echoes and duplicates are faults' })
      .option('target-socket', {
        type: 'string',
        requiresArg: true,
        describe: "API socket of a target that is a nodebgp on this machine: its event loop's delay in each phase",
      })
      .option('json', { type: 'boolean', default: false, describe: 'the result as one JSON object' }),
  handler: async (argv) => {
    const options = await optionsOf(argv)
    const plan = planOf(options)
    const stop = new AbortController()
    const onSignal = () => stop.abort()
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
    try {
      const probe = await probeOf(argv)
      const self = [parseAddress(options.host)]
      const result = await runLoad(plan, self, makeProgress(process.stderr), stop.signal, probe)
      if (argv['json'] === true) printJson(result)
      else print(`\n${formatReport(result)}`)
      process.exitCode = result.ok ? Exit.OK : Exit.NO
    } catch (error) {
      if (error instanceof CannotConnect) throw new CommandError(Exit.NO_DAEMON, error.message)
      throw error
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    }
  },
}

/** Fails at once where the socket is not one of a nodebgp; later the target may be away for a while. */
async function probeOf(argv: Arguments): Promise<LoopProbe | null> {
  const socket = argv['target-socket'] as string | undefined
  if (socket === undefined) return null
  const client = new Client({ socket, from: '--target-socket' })
  if (loopDelayOf(await client.text('/metrics')) === null)
    throw new CommandError(Exit.NO_DAEMON, `--target-socket ${socket}: what answers there is not nodebgp`)
  return () => client.text('/metrics').then(loopDelayOf, () => null)
}

function planOf(options: LoadOptions): Plan {
  try {
    return makePlan(options)
  } catch (error) {
    if (error instanceof UsageError) throw usage(error.message)
    throw error
  }
}

async function optionsOf(argv: Arguments): Promise<LoadOptions> {
  const workload = argv['workload'] as Workload
  const isTable = workload === 'table'
  const family = argv['ipv6'] === true ? Family.IPV6_UNICAST : Family.IPV4_UNICAST
  const isIpv4 = family === Family.IPV4_UNICAST
  const { host, port } = await targetOf(String(argv['target']))
  return {
    host,
    port,
    asn: integer(argv, 'asn', 1, 4_294_967_294),
    peerAsn: argv['peer-asn'] === undefined ? null : integer(argv, 'peer-asn', 1, 4_294_967_294),
    ebgp: argv['ebgp'] === true,
    workload,
    peers: integer(argv, 'peers', 1, 20_000, isTable ? 1 : 300),
    receivers: integer(argv, 'receivers', 0, 20_000, isTable ? 1 : 0),
    routes: integer(argv, 'routes', 1, 2 ** 24, isTable ? 100_000 : 4),
    attributeSets: argv['attribute-sets'] === undefined ? null : integer(argv, 'attribute-sets', 1, 65_536 * 64),
    family,
    prefixes: range(argv, 'prefixes') ?? parsePrefix(isIpv4 ? '10.0.0.0/8' : 'fd00:10::/32'),
    blockLength: integer(argv, 'block-length', 1, 64, isIpv4 ? 26 : 64),
    localAddresses: localAddressesOf(argv, host),
    nextHops: range(argv, 'next-hops'),
    expectNextHop: (argv['expect-next-hop'] as LoadOptions['expectNextHop'] | undefined) ?? null,
    expectAttributes: (argv['expect-attributes'] as LoadOptions['expectAttributes'] | undefined) ?? null,
    holdTimeSeconds: holdTimeOf(argv),
    window: integer(argv, 'window', 1, 20_000),
    rate: integer(argv, 'rate', 1, 1_000_000),
    seconds: positive(argv, 'seconds'),
    seed: integer(argv, 'seed', 0, 0xffff_ffff),
    timeoutSeconds: positive(argv, 'timeout'),
    withdraw: argv['withdraw'] !== false,
    allowOther: argv['allow-other'] === true,
    strict: argv['strict'] === true,
  }
}

/** A name is looked up once; all sessions go to the same address. */
async function targetOf(text: string): Promise<{ host: string; port: number }> {
  const found = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const name = found?.[1] ?? found?.[2]
  const port = Number(found?.[3])
  if (name === undefined || port < 1 || port > 65535) {
    throw usage(`--target '${text}' is not HOST:PORT (examples: 127.0.0.1:1790, [2001:db8::1]:179)`)
  }
  try {
    return { host: (await lookup(name)).address, port }
  } catch {
    throw usage(`--target: there is no address for the name '${name}'`)
  }
}

function localAddressesOf(argv: Arguments, host: string): LoadOptions['localAddresses'] {
  const list = argv['source']
  const given = range(argv, 'local-addresses')
  if (list !== undefined && given !== null) throw usage('--source and --local-addresses exclude each other')
  if (given !== null) return given
  if (list !== undefined) {
    const addresses = String(list)
      .split(',')
      .map((text) => text.trim())
    for (const text of addresses) parsed('source', text, parseAddress)
    return addresses
  }
  if (host.startsWith('127.')) return parsePrefix('127.1.0.0/16')
  throw usage(`say with --local-addresses from which addresses of this machine the neighbours reach ${host}`)
}

function holdTimeOf(argv: Arguments): number {
  const seconds = integer(argv, 'hold-time', 0, 65_535)
  if (seconds === 1 || seconds === 2) throw usage('--hold-time is 0 or at least 3 seconds (RFC 4271 §4.2)')
  return seconds
}

function range(argv: Arguments, name: string): PrefixText | null {
  const text = argv[name]
  return text === undefined ? null : parsed(name, String(text), (value) => parsePrefix(value, { strict: true }))
}

function parsed<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    throw usage(`--${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function integer(argv: Arguments, name: string, from: number, to: number, fallback?: number): number {
  const value = argv[name] ?? fallback
  if (typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to) return value
  throw usage(`--${name} takes a whole number of ${from} to ${to}`)
}

function positive(argv: Arguments, name: string): number {
  const value = argv[name]
  if (typeof value === 'number' && value > 0 && value <= 1_000_000) return value
  throw usage(`--${name} takes a number of seconds above 0`)
}

function usage(message: string): CommandError {
  return new CommandError(Exit.USAGE, message)
}

const WORKLOADS: readonly Workload[] = ['fanout', 'table', 'churn', 'restart-wait']
