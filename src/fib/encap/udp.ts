/**
 * Edge: Flannel's UDP back end: the worker thread that forwards (udp-worker.ts), its device's address, MTU and state, and the table of blocks. Slow by design: every
 * packet passes through this process twice; for kernels with neither IPIP nor VXLAN.
 */
import { Worker } from 'node:worker_threads'
import type { UdpTunnelConfig } from '../../config/types.js'
import { wordAt } from '../../net/address.js'
import { parsePrefix } from '../../net/prefix.js'
import { findSys } from '../../sys/sys.js'
import type { FibFact } from '../driver.js'
import { netnsArgs, runIp } from '../ip-run.js'
import { findParent, OtherDeviceError, showLinks } from '../tunnel.js'
import { FibError } from '../types.js'
import { judgeTun } from './devices.js'
import { ALIAS } from './ours.js'
import type { FarNode } from './types.js'
import type { UdpAnswer, UdpBlocks, UdpJob } from './udp-worker.js'

export interface UdpOptions {
  readonly netns: string | null
  readonly nodeAddresses: readonly string[]
  readonly tunnelAddress: string | null
  readonly udp: UdpTunnelConfig
  readonly log: (fact: FibFact) => void
}

export class UdpKeeper {
  readonly #options: UdpOptions
  readonly #nodes = new Map<string, string>()
  #changed = false
  #worker: Worker | null = null
  #said = false

  constructor(options: UdpOptions) {
    this.#options = options
  }

  want(prefix: string, far: readonly FarNode[]): void {
    // One path only: the forwarder keeps one node for each block.
    const node = far.find((one) => one.kind === 'udp')?.endpoint
    if (this.#nodes.get(prefix) === node) return
    this.#changed = true
    if (node === undefined) this.#nodes.delete(prefix)
    else this.#nodes.set(prefix, node)
  }

  /** Rejects with a FibError. */
  async keep(): Promise<void> {
    const { netns, nodeAddresses, udp, tunnelAddress } = this.#options
    if (netns !== null)
      throw new FibError(
        'encapsulation udp forwards packets itself, and so only works in the network namespace of this process',
      )
    const links = await showLinks(null, null)
    const parent = findParent(
      links.filter((one) => one.ifname !== udp.device),
      nodeAddresses,
    )
    let link = links.find((one) => one.ifname === udp.device)
    if (this.#worker === null || link === undefined) {
      await this.close()
      if (link !== undefined && link.linkinfo?.info_kind !== 'tun')
        throw new OtherDeviceError(
          `device ${udp.device} is there and no TUN device; set fib.udp.device to another name`,
        )
      await this.#start(parent.address)
      await ip(`link set dev ${udp.device} alias ${ALIAS}`)
      await ip(`link set dev ${udp.device} addrgenmode none`)
      link = (await showLinks(null, udp.device))[0]
      if (link === undefined) throw new FibError(`TUN device ${udp.device} is not there after it was made`)
    }
    for (const repair of judgeTun(link, tunnelAddress, parent.mtu)) await ip(repair)
  }

  /** Before the routes: the table of the forwarder. */
  async prepare(): Promise<void> {
    if (!this.#changed || this.#worker === null) return
    this.#changed = false
    const blocks: UdpBlocks = [...this.#nodes].map(([prefix, node]) => {
      const { address, length } = parsePrefix(prefix)
      return [wordAt(address, 0) >>> 0, length, node]
    })
    this.#worker.postMessage(blocks)
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = null
    await worker?.terminate()
  }

  async #start(address: string | null): Promise<void> {
    const { udp, log } = this.#options
    const found = findSys()
    if (found.sys === null)
      throw new FibError(
        `encapsulation udp needs system calls that Node.js has no API for, and nothing provides them: ${found.why}`,
      )
    const job: UdpJob = { device: udp.device, port: udp.port, address }
    const worker = new Worker(new URL('udp-worker.js', import.meta.url), { workerData: job })
    worker.unref()
    const first = await new Promise<UdpAnswer>((resolve) => {
      worker.once('message', resolve)
      worker.once('error', (error) => resolve({ type: 'failed', reason: error.message }))
    })
    if (first.type === 'failed') {
      await worker.terminate()
      throw new FibError(first.reason)
    }
    this.#worker = worker
    this.#changed = true
    const lost = (reason: string): void => {
      if (this.#worker !== worker) return
      this.#worker = null
      log({ event: 'warning', fields: { text: `the UDP forwarder ended (${reason}); it is started again` } })
      void worker.terminate()
    }
    worker.on('message', (message: UdpAnswer) => message.type === 'failed' && lost(message.reason))
    worker.on('error', (error) => lost(error.message))
    if (this.#said) return
    this.#said = true
    const text = `encapsulation udp: every packet between nodes passes through this process (${udp.device}, port ${udp.port}), which is slow; take vxlan or ipip where the kernel has them`
    log({ event: 'warning', fields: { text } })
  }
}

async function ip(words: string): Promise<void> {
  const result = await runIp([...netnsArgs(null), ...words.split(' ')])
  if (result.status !== 0) throw new FibError(`ip ${words}: ${result.stderr.slice(0, 200)}`)
}
