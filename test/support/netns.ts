/**
 * Network namespaces and veth links for tests. Names carry the process id, so that test files may run side by side; everything made here is
 * removed when the test ends (also when it fails), and again when the process exits or is asked to end.
 */
import { type ExecFileSyncOptionsWithStringEncoding, execFileSync, spawnSync } from 'node:child_process'
import { getuid } from 'node:process'

export interface Netns {
  readonly name: string
  /** `ip -n NAME …`: its standard output. Throws with the words of `ip` when it fails. Arguments are split at blanks: `ip('route add …')`. */
  ip(command: string): string
  /** The same with the JSON answer. */
  ipJson(command: string): unknown
  /** Runs a program inside and returns its standard output. */
  exec(command: string, ...args: readonly string[]): string
  /** Prefix of an argument list that starts a program inside: `spawn(prefix[0], [...prefix.slice(1), 'ping', …])`. */
  readonly execPrefix: readonly string[]
  remove(): void
}

/** The part of a tap test that is needed here. */
export interface TestScope {
  teardown(action: () => void): void
}

/** Why namespaces cannot be made here, with the command that helps, or null. Asked once. */
export function netnsMissing(): string | null {
  if (answer === undefined) answer = findMissing()
  return answer
}

/** Options for a test that needs namespaces: `t.test('…', needsNetns(), async (t) => …)`. With NODEBGP_REQUIRE_INTEROP=1 it runs and fails. */
export function needsNetns(): { skip?: string } {
  const missing = netnsMissing()
  return missing === null || process.env['NODEBGP_REQUIRE_INTEROP'] === '1' ? {} : { skip: missing }
}

/** Makes a namespace `LABEL-PID-N` with its loopback device up. */
export function makeNetns(t: TestScope, label: string): Netns {
  installExitHandlers()
  const name = `${label}-${process.pid}-${++made}`
  run('ip', ['netns', 'add', name])
  live.add(name)
  const namespace: Netns = {
    name,
    ip: (command) => run('ip', ['-n', name, ...words(command)]),
    ipJson: (command) => JSON.parse(run('ip', ['-n', name, '-j', ...words(command)]) || '[]') as unknown,
    exec: (command, ...args) => run('ip', ['netns', 'exec', name, command, ...args]),
    execPrefix: ['ip', 'netns', 'exec', name],
    remove: () => removeNetns(name),
  }
  t.teardown(() => namespace.remove())
  namespace.ip('link set lo up')
  return namespace
}

export interface VethEnd {
  readonly netns: Netns
  /** At most 15 characters. */
  readonly device: string
  /** With length: `192.168.0.1/24`. IPv6 addresses skip duplicate detection, so that they work at once. */
  readonly addresses: readonly string[]
}

/** A veth link between two namespaces, both ends up and addressed. */
export function makeVeth(a: VethEnd, b: VethEnd): void {
  a.netns.ip(`link add ${a.device} type veth peer name ${b.device} netns ${b.netns.name}`)
  for (const end of [a, b]) {
    end.netns.ip(`link set ${end.device} up`)
    for (const address of end.addresses) {
      end.netns.ip(`addr add ${address} dev ${end.device}${address.includes(':') ? ' nodad' : ''}`)
    }
  }
}

const live = new Set<string>()
let made = 0
let answer: string | null | undefined
let handlersInstalled = false

function findMissing(): string | null {
  if (process.platform !== 'linux') return `network namespaces need Linux, this is ${process.platform}`
  if (spawnSync('ip', ['-V']).error) return 'the program ip is missing: apt-get install iproute2'
  if (getuid?.() !== 0) return 'network namespaces need root: run the tests with sudo'
  const probe = `probe-${process.pid}`
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' })
  if (made.status !== 0)
    return `network namespaces cannot be made (${made.stderr.trim()}): run with CAP_SYS_ADMIN and CAP_NET_ADMIN`
  spawnSync('ip', ['netns', 'del', probe])
  return null
}

function removeNetns(name: string): void {
  if (!live.delete(name)) return
  spawnSync('ip', ['netns', 'del', name])
}

function installExitHandlers(): void {
  if (handlersInstalled) return
  handlersInstalled = true
  const removeAll = (): void => {
    for (const name of [...live]) removeNetns(name)
  }
  process.on('exit', removeAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      removeAll()
      process.kill(process.pid, signal)
    })
  }
}

function words(command: string): string[] {
  return command.split(/\s+/).filter((word) => word !== '')
}

function run(program: string, args: readonly string[]): string {
  const options: ExecFileSyncOptionsWithStringEncoding = {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 256 << 20,
    env: { ...process.env, LC_ALL: 'C' },
  }
  try {
    return execFileSync(program, [...args], options)
  } catch (error) {
    const words = (error as { stderr?: string }).stderr?.trim() ?? String(error)
    throw new Error(`${program} ${args.join(' ')}: ${words}`)
  }
}
