/**
 * Random deeds on a node (chaos-world.ts): what the RIB wants, the hands of others, devices, reloads, restarts.
 */
import type { DesiredRoute } from '../../src/fib/types.js'
import type { World } from './chaos-world.js'
import { blackhole, unicast, until } from './support.js'

const IPV4 = [
  '10.244.1.0/26',
  '10.244.1.64/26',
  '10.244.0.0/22',
  '10.244.2.0/26',
  '10.244.3.0/26',
  '10.245.0.0/26',
  '10.245.1.9/32',
  '0.0.0.0/0',
  '172.31.5.0/26',
]
const IPV6 = ['fd01::/64', 'fd01:0:0:1::/64', 'fd02::/64', 'fd02::9/128', '::/0']
const HOPS4 = [
  '192.168.0.2',
  '192.168.0.3',
  '192.168.1.2',
  '192.168.1.3',
  '172.31.5.5',
  '172.31.9.9',
  '10.244.2.5',
  '10.244.1.7',
  '10.244.3.5',
  '10.245.1.9',
  '192.168.0.1',
  'fd00::2',
  '203.0.113.1',
]
const HOPS6 = [
  'fd00::2',
  'fd00::3',
  'fd00:1::2',
  'fe80::5%v0',
  'fe80::6%v1',
  '2001:db8::1',
  'fd01::5',
  'fd02::9',
  '2001:db8:9::9',
]
const GATES4 = [
  'via 192.168.0.9',
  'via 192.168.1.9',
  'dev v0',
  'nexthop via 192.168.0.8 nexthop via 192.168.1.8',
  'via 192.168.0.2',
  'nhid 5',
  'nhid 10',
]
const GATES6 = ['via fd00::9', 'via fd00:1::9', 'dev v1', 'nexthop via fd00::8 nexthop via fd00:1::8', 'nhid 20']

type Random = () => number

function randomOf(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let n = Math.imul(state ^ (state >>> 15), state | 1)
    n ^= n + Math.imul(n ^ (n >>> 7), n | 61)
    return ((n ^ (n >>> 14)) >>> 0) / 2 ** 32
  }
}

export class Chaos {
  readonly world: World
  readonly #random: Random
  /** What was done, for whoever has to find out. */
  readonly log: string[] = []
  worstMs = 0

  constructor(world: World, seed: number) {
    this.world = world
    this.#random = randomOf(seed)
  }

  async round(): Promise<void> {
    try {
      await this.#round()
    } catch (error) {
      throw new Error(`${(error as Error).message}\nafter:\n${this.log.slice(-40).join('\n')}`)
    }
  }

  async #round(): Promise<void> {
    if (this.#random() < 0.25) {
      await this.world.look()
      this.#alone()
    } else {
      const count = 1 + Math.floor(this.#random() * 6)
      for (let n = 0; n < count; n++) {
        await this.#step()
        await this.#pause()
      }
    }
    await this.quiet()
  }

  /** All is as it has to be, soon, and stays so. */
  async quiet(): Promise<void> {
    const { world } = this
    const startMs = performance.now()
    let wrong: string[] = []
    try {
      await until(
        'all as it has to be',
        () => {
          world.checkForeign()
          wrong = world.compare()
          return wrong.length === 0
        },
        8000,
      )
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${wrong.join('\n')}`)
    }
    this.worstMs = Math.max(this.worstMs, performance.now() - startMs)
    this.log.push(`-- quiet after ${Math.round(performance.now() - startMs)} ms`)
  }

  async #pause(): Promise<void> {
    const dice = this.#random()
    if (dice < 0.4) return
    if (dice < 0.7) await new Promise((resolve) => setImmediate(resolve))
    else await new Promise((resolve) => setTimeout(resolve, this.#random() * 120))
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!
  }

  #some(list: readonly string[], most: number): string[] {
    return [...new Set(Array.from({ length: 1 + Math.floor(this.#random() * most) }, () => this.#pick(list)))]
  }

  #prefix(): string {
    return this.#random() < 0.65 ? this.#pick(IPV4) : this.#pick(IPV6)
  }

  #route(prefix: string): DesiredRoute {
    if (this.#random() < 0.12) return blackhole(prefix)
    const hops = this.#some(prefix.includes(':') ? HOPS6 : HOPS4, 3)
    // A path over IPv6 that died with the last IPv4 address of its device stays dead among others: the kernel takes a replace for one with what is there.
    const isMixed = !prefix.includes(':') && hops.includes('fd00::2')
    return unicast(prefix, ...(isMixed ? ['fd00::2'] : hops))
  }

  #metric(): number {
    return this.world.options.metric
  }

  #hand(...commands: readonly string[]): void {
    this.log.push(...commands.map((one) => `ip ${one}`))
    this.world.hand(...commands)
  }

  /** What nobody could tell from ours at that moment: only while it is quiet, as the kernel replaces whatever is there. */
  #alone(): void {
    const prefix = this.#prefix()
    const isIpv6 = prefix.includes(':')
    const gate = this.#random() < 0.2 ? '' : this.#pick(isIpv6 ? GATES6 : GATES4)
    const verb = this.#pick(isIpv6 ? ['replace', 'add'] : ['replace', 'add', 'append', 'prepend'])
    const route = `${prefix} proto ${this.#pick([4, 80])} metric ${this.#metric() || (isIpv6 ? 1024 : 0)}`
    this.#hand(`route ${verb} ${gate === '' ? `blackhole ${route}` : `${route} ${gate}`}`)
  }

  async #step(): Promise<void> {
    const { world } = this
    const dice = this.#random() * 100
    const prefix = this.#prefix()
    const isIpv6 = prefix.includes(':')
    const gate = this.#pick(isIpv6 ? GATES6 : GATES4)
    if (dice < 30) return this.#set(prefix, this.#route(prefix))
    if (dice < 42) return this.#set(prefix, null)
    if (dice < 62) return this.#handOnOurs(prefix, gate)
    if (dice < 76) return this.#handOnForeign(prefix, gate)
    if (dice < 90) return this.#devices()
    if (dice < 96) {
      const over = this.#pick([
        { metric: 0 },
        { metric: 20 },
        { metric: 50 },
        { maxPaths: 1 },
        { maxPaths: 2 },
        { maxPaths: 16 },
        { encapsulation: 'never' },
        { encapsulation: 'never' },
        { encapsulation: 'vxlan' },
        { encapsulation: 'vxlan-cross-subnet' },
        { programClusterRoutes: 'Enabled' },
        { programClusterRoutes: 'Enabled' },
        { programClusterRoutes: 'EnabledIPIPOnly' },
        { sources: ['192.168.0.1', 'fd00::1'] },
        { sources: [null, null] },
      ] as const)
      this.log.push(`reload ${JSON.stringify(over)}`)
      return world.reconfigure(over)
    }
    const next = new Map(world.wanted)
    for (const one of [...next.keys()]) if (this.#random() < 0.3) next.delete(one)
    if (this.#random() < 0.5) next.set(prefix, this.#route(prefix))
    this.log.push(`restart with ${JSON.stringify([...next].map(([one, { nextHops }]) => [one, ...nextHops]))}`)
    const over = this.#random() < 0.3 ? { metric: this.#pick([0, 20, 50]) } : {}
    world.options = { ...world.options, ...over }
    await world.restart(next, () => this.#random() < 0.5 && this.#handOnOurs(this.#prefix(), gate))
    await this.#pause()
    this.log.push('sweep')
    world.fib.sweepAdopted()
  }

  #set(prefix: string, route: DesiredRoute | null): void {
    this.log.push(`set ${prefix} ${route === null ? 'null' : `${route.kind} ${route.nextHops}`}`)
    this.world.set(prefix, route)
  }

  #handOnOurs(prefix: string, gate: string): void {
    const metric = this.#metric() || (prefix.includes(':') ? 1024 : 0)
    const six = prefix.includes(':')
    const twice = six ? 'nexthop via fd00::2 nexthop via fd00::2' : 'nexthop via 192.168.0.2 nexthop via 192.168.0.2'
    const weights = six
      ? 'nexthop via fd00::2 weight 7 nexthop via fd00::3'
      : 'nexthop via 192.168.0.2 weight 7 nexthop via 192.168.0.3'
    const deeds = [
      [`route del ${prefix} proto 179`],
      [`route del ${prefix} proto 179`],
      ['route flush proto 179', '-6 route flush proto 179'],
      [`route change ${prefix} proto 179 metric ${metric} ${gate}`],
      [`route change ${prefix} proto 179 metric ${metric} ${twice}`],
      [`route change ${prefix} proto 179 metric ${metric} ${weights}`],
      [`route change blackhole ${prefix} proto 179 metric ${metric}`],
      [`route append ${prefix} proto 179 metric ${metric} ${gate}`],
      [`route prepend ${prefix} proto 179 metric ${metric} ${gate}`],
      [`route add ${prefix} proto 179 metric ${this.#pick([5, 60])} ${gate}`],
      [`route add ${six ? 'fd09::/64' : '10.9.0.0/24'} proto 179 metric ${this.#pick([5, 20])} ${gate}`],
      [`route del ${prefix} proto 179`, `route add ${prefix} proto 179 metric ${metric} ${gate}`],
    ]
    this.#hand(...this.#pick(deeds))
  }

  #handOnForeign(prefix: string, gate: string): void {
    const metric = this.#pick([5, 30, 70])
    const proto = this.#pick([3, 4, 80, 188])
    const deeds = [
      [`route add ${prefix} proto ${proto} metric ${metric} ${gate}`],
      [`route add blackhole ${prefix} proto ${proto} metric ${metric}`],
      [`route del ${prefix} proto ${proto}`],
      ...[4, 80, 188, 3].map((one) => [`route flush proto ${one}`, `-6 route flush proto ${one}`]),
      [4, 80].map((one) => `route del ${prefix} proto ${one}`),
      [`route add 172.31.0.0/16 proto 4 metric ${metric} ${this.#pick(GATES4)}`],
      [`route add 172.31.5.0/24 proto 80 metric ${metric} ${this.#pick(GATES4)}`],
      [`route add unreachable 172.31.5.5 proto 80 metric ${metric}`],
      ['route del 172.31.0.0/16', 'route del 172.31.5.0/24', 'route del 172.31.5.5'],
      [`route add default proto 3 metric ${metric} ${this.#pick(GATES4)}`],
      ['route del default proto 3'],
      [`-6 route add 2001:db8::/32 proto 188 metric ${metric} ${this.#pick(GATES6)}`],
      ['-6 route del 2001:db8::/32 proto 188'],
      [
        'nexthop add id 5 via 192.168.0.9 dev v0',
        'nexthop add id 6 via 192.168.1.8 dev v1',
        'nexthop add id 10 group 5/6',
      ],
      ['nexthop replace id 5 via 192.168.0.7 dev v0'],
      ['nexthop del id 6'],
      ['nexthop del id 5'],
      ['-6 nexthop add id 20 via fd00::9 dev v0'],
      ['-6 nexthop del id 20'],
    ]
    this.#hand(...this.#pick(deeds))
  }

  #devices(): void {
    const up0 = ['link set v0 up', 'addr add 192.168.0.1/24 dev v0', 'addr add fd00::1/64 dev v0 nodad']
    const up1 = ['link set v1 up', 'addr add 192.168.1.1/24 dev v1', 'addr add fd00:1::1/64 dev v1 nodad']
    const connected = [
      'route add 192.168.0.0/24 dev v0 proto kernel scope link',
      'route add 192.168.1.0/24 dev v1 proto kernel scope link',
    ]
    const deeds = [
      ['link set v0 down'],
      ['link set v1 down'],
      up0,
      up1,
      up0,
      up1,
      ['link set v0 down', ...up0],
      ['link set v1 down', ...up1],
      ['link set v1 down', 'link set v1 up'],
      ['link set v0 down', 'link set v0 up'],
      ['addr del 192.168.1.1/24 dev v1'],
      ['addr del 192.168.0.1/24 dev v0'],
      ['addr del 192.168.1.1/24 dev v1', ...up1],
      ['link set v1 down', 'addr del 192.168.1.1/24 dev v1', 'link set v1 up'],
      ['addr add 192.168.1.77/24 dev v1', 'addr del 192.168.1.1/24 dev v1'],
      ['addr del 192.168.1.77/24 dev v1'],
      ['link del v1'],
      ['link set v1 down', 'link set v1 name w9', 'link set w9 up'],
      ['link set w9 down', 'link set w9 name v1', ...up1],
      ['route flush table main', ...connected],
      ['route flush table main'],
      connected,
      ['link del flannel.1'],
      ['link set flannel.1 down'],
      ['neigh flush dev flannel.1 nud permanent'],
    ]
    const deed = this.#pick(deeds)
    this.#hand(...deed)
    if (deed.includes('link del v1') && this.#random() < 0.8) {
      this.log.push('v1 is made again')
      try {
        this.world.makeV1()
      } catch {}
    }
  }
}
