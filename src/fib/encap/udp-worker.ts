/**
 * Edge: the forwarder of Flannel's UDP back end, in a worker thread: a TUN device on one side, a UDP socket on the other. Packets of the device go to the node that has
 * the block of their destination; datagrams go to the device. Each wake-up takes as many packets as are there, up to a limit.
 */
import { createSocket } from 'node:dgram'
import { readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { streamOver } from '../../sys/descriptor-stream.js'
import { findSys, O_CLOEXEC, O_NONBLOCK, O_RDWR } from '../../sys/sys.js'
import { BlockTable, takePacket } from './udp-packet.js'

export interface UdpJob {
  readonly device: string
  readonly port: number
  readonly address: string | null
}
/** From the worker: `ready` once, or what went wrong. */
export type UdpAnswer = { readonly type: 'ready' } | { readonly type: 'failed'; readonly reason: string }
export type UdpBlocks = readonly (readonly [network: number, length: number, node: string])[]

function main(job: UdpJob): void {
  const table = new BlockTable()
  const fd = openTun(job.device)
  const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER_OCTETS, sendBufferSize: BUFFER_OCTETS })
  const send = (packet: Uint8Array): void => {
    const destination = takePacket(packet)
    const node = destination < 0 ? undefined : table.find(destination)
    if (node !== undefined) socket.send(packet, job.port, node, ignore)
  }
  socket.on('message', (packet) => {
    if (takePacket(packet) < 0) return
    try {
      writeSync(fd, packet)
    } catch {
      // The queue of the device is full, or it is down: the packet is lost, as on any link.
    }
  })
  socket.on('error', (error) => answer({ type: 'failed', reason: `UDP port ${job.port}: ${error.message}` }))
  parentPort!.on('message', (blocks: UdpBlocks) => table.replace(blocks))
  socket.bind({ port: job.port, ...(job.address === null ? {} : { address: job.address }) }, () => {
    const tun = streamOver(fd)
    if (tun === null) {
      answer({ type: 'failed', reason: `this Node.js (${process.version}) cannot wait for packets of ${job.device}` })
      return
    }
    tun.on('data', (first: Buffer) => {
      send(first)
      drain(fd, send)
    })
    tun.on('error', (error) => answer({ type: 'failed', reason: `${job.device}: ${error.message}` }))
    tun.on('close', () => answer({ type: 'failed', reason: `${job.device} is gone` }))
    answer({ type: 'ready' })
  })
}

/** What has queued behind the packet that woke us. */
function drain(fd: number, send: (packet: Uint8Array) => void): void {
  try {
    for (let i = 0; i < PACKETS_PER_WAKE; i++) {
      const packet = Buffer.allocUnsafe(PACKET_OCTETS)
      const length = readSync(fd, packet)
      if (length <= 0) return
      send(packet.subarray(0, length))
    }
  } catch {
    // EAGAIN: nothing more.
  }
}

function openTun(device: string): number {
  const found = findSys()
  if (found.sys === null) throw new Error(`nothing provides the system calls for a TUN device: ${found.why}`)
  const { sys } = found
  let fd: number
  try {
    fd = sys.open('/dev/net/tun', O_RDWR | O_NONBLOCK | O_CLOEXEC)
  } catch (error) {
    throw new Error(
      `/dev/net/tun cannot be opened (${(error as Error).message}): load the module tun, and give a container the device`,
    )
  }
  const request = new Uint8Array(40)
  request.set(Buffer.from(device, 'latin1').subarray(0, 15))
  new DataView(request.buffer).setUint16(16, IFF_TUN | IFF_NO_PI, true)
  try {
    sys.ioctl(fd, TUNSETIFF, request)
  } catch (error) {
    sys.close(fd)
    throw new Error(
      `the TUN device ${device} cannot be made: ${(error as Error).message} (EBUSY: somebody holds it; EPERM: CAP_NET_ADMIN is missing)`,
    )
  }
  return fd
}

function answer(message: UdpAnswer): void {
  parentPort!.postMessage(message)
}

function ignore(): void {}

const IFF_TUN = 1
/** No header of four octets in front of each packet. */
const IFF_NO_PI = 0x1000
const TUNSETIFF = 0x400454ca
const PACKET_OCTETS = 2048
const PACKETS_PER_WAKE = 64
const BUFFER_OCTETS = 4 << 20

if (parentPort !== null) {
  try {
    main(workerData as UdpJob)
  } catch (error) {
    answer({ type: 'failed', reason: (error as Error).message })
  }
}
