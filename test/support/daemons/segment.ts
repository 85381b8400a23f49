/**
 * One Ethernet segment: a bridge in a namespace of its own, and hosts (namespaces) plugged into it. Pulling a host's plug leaves all
 * interfaces up, so that only hold timers notice. When the test ends, the speakers started on it end first, then the namespaces go.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeNetns, makeVeth, type Netns } from '../netns.js'

export interface Host {
  readonly label: string
  /** Name of its network namespace. */
  readonly netns: string
  readonly ns: Netns
  /** 172.31.5.N and fd00:5::N on eth0. */
  readonly v4: string
  readonly v6: string
  /** A folder of its own, short enough for unix socket paths. */
  readonly dir: string
}

interface Stoppable {
  kill(): Promise<void>
}
interface TestScope {
  teardown(action: () => void | Promise<void>): void
}

export class Segment {
  readonly #dir = mkdtempSync(join(tmpdir(), 'nbi-'))
  readonly #removals: (() => void)[] = []
  readonly #speakers: Stoppable[] = []
  readonly #scope = { teardown: (action: () => void) => void this.#removals.push(action) }
  readonly #switch: Netns
  #ports = 0

  constructor(t: TestScope) {
    t.teardown(() => this.close())
    // Daemons that give up root have to reach their files.
    chmodSync(this.#dir, 0o755)
    process.once('exit', () => rmSync(this.#dir, { recursive: true, force: true }))
    this.#switch = makeNetns(this.#scope, 'interop-switch')
    this.#switch.ip('link add br0 type bridge forward_delay 0')
    this.#switch.ip('link set br0 up')
  }

  /** Host `number` (1..254). */
  host(label: string, number: number): Host {
    const ns = this.#namespace(label)
    const v4 = `172.31.5.${number}`
    const v6 = `fd00:5::${number.toString(16)}`
    makeVeth(
      { netns: this.#switch, device: label, addresses: [] },
      { netns: ns, device: 'eth0', addresses: [`${v4}/24`, `${v6}/64`] },
    )
    this.#switch.ip(`link set ${label} master br0`)
    const dir = join(this.#dir, String(this.#ports++))
    mkdirSync(dir)
    return { label, netns: ns.name, ns, v4, v6, dir }
  }

  /** A Pod behind a host, in the manner of Calico: a /32 route to its veth, 169.254.1.1 as its gateway. */
  pod(host: Host, address: string): Netns {
    const pod = this.#namespace(`${host.label}-pod`)
    makeVeth(
      { netns: host.ns, device: 'cali0', addresses: ['169.254.1.1/32'] },
      { netns: pod, device: 'eth0', addresses: [`${address}/32`] },
    )
    host.ns.ip(`route add ${address}/32 dev cali0`)
    pod.ip('route add 169.254.1.1 dev eth0 scope link')
    pod.ip('route add default via 169.254.1.1')
    return pod
  }

  /** Speakers (and other children) that end with the test. */
  add<T extends Stoppable>(speaker: T): T {
    this.#speakers.push(speaker)
    return speaker
  }

  unplug(host: Host): void {
    this.#switch.ip(`link set ${host.label} nomaster`)
  }
  plug(host: Host): void {
    this.#switch.ip(`link set ${host.label} master br0`)
  }

  async close(): Promise<void> {
    await Promise.all(this.#speakers.map((speaker) => speaker.kill()))
    for (const remove of this.#removals.reverse()) remove()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  #namespace(label: string): Netns {
    const ns = makeNetns(this.#scope, `interop-${label}`)
    ns.exec('sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
    return ns
  }
}
