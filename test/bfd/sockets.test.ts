/** The UDP sockets of BFD, in a network namespace that this process moves to. */
import { createSocket, type Socket } from 'node:dgram'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { BfdSockets, MULTIHOP_PORT, SINGLE_HOP_PORT } from '../../src/bfd/sockets.js'
import { findSys, O_CLOEXEC } from '../../src/sys/sys.js'
import { makeNetns, needsNetns } from '../support/netns.js'
import { until } from '../support/wait.js'

const RETRY_MS = 50
const CLONE_NEWNET = 0x40000000

t.test('sockets that cannot be had at once', needsNetns(), async (t) => {
  const { sys } = findSys()
  if (sys === null) throw new Error('koffi is a package for development')
  const ns = makeNetns(t, 'bfd-sockets')
  const fd = sys.open(`/var/run/netns/${ns.name}`, O_CLOEXEC)
  sys.setns(fd, CLONE_NEWNET)
  sys.close(fd)

  t.test('another BFD has the port: told once however often it is tried, and taken when it is free', async (t) => {
    const other = await bound('0.0.0.0', SINGLE_HOP_PORT)
    const { sockets, troubles, heard } = given(t)
    sockets.open(1, { address: '127.0.0.2', localAddress: '127.0.0.1', multihop: false })
    await until('trouble', () => troubles.length > 0)
    t.match(troubles, [/BFD cannot listen on UDP port 3784, IPv4: .*EADDRINUSE.*another BFD runs here/])
    await pause(4 * RETRY_MS)
    t.equal(troubles.length, 1)
    other.close()
    const friend = await bound('127.0.0.2', 0)
    friend.setTTL(255)
    t.teardown(() => friend.close())
    await until('a packet is heard', () => {
      friend.send('x', SINGLE_HOP_PORT, '127.0.0.1')
      return heard.length > 0
    })
    t.equal(heard[0], '127.0.0.2')
  })

  t.test('an address that comes later: told once, and then it is used, with the last packet that waited', async (t) => {
    const friend = await bound('127.0.0.2', MULTIHOP_PORT)
    t.teardown(() => friend.close())
    const { sockets, troubles } = given(t)
    sockets.open(1, { address: '127.0.0.2', localAddress: '10.77.0.1', multihop: true })
    sockets.open(2, { address: '127.0.0.3', localAddress: '10.77.0.1', multihop: true })
    const told = (): string[] => troubles.filter((text) => text.includes('no socket'))
    await until('trouble', () => told().length >= 2)
    sockets.send(1, Buffer.from('first'))
    sockets.send(1, Buffer.from('last'))
    sockets.close(2)
    await pause(4 * RETRY_MS)
    t.match(told(), [/BFD to 127.0.0.2: no socket on 10.77.0.1 yet: EADDRNOTAVAIL/, /BFD to 127.0.0.3/])
    t.equal(told().length, 2)
    const packets: string[] = []
    friend.on('message', (octets) => packets.push(octets.toString()))
    ns.ip('addr add 10.77.0.1/32 dev lo')
    await until('the packet', () => packets.length > 0)
    t.same(packets, ['last'])
    t.ok(sockets.sourcePort(1) >= 49152)
    t.equal(sockets.sourcePort(2), 0)
  })
})

function given(t: Test): { sockets: BfdSockets; troubles: string[]; heard: string[] } {
  const troubles: string[] = []
  const heard: string[] = []
  const sockets = new BfdSockets(
    { message: (_octets, address) => void heard.push(address), trouble: (text) => void troubles.push(text) },
    RETRY_MS,
  )
  t.teardown(() => sockets.closeAll())
  return { sockets, troubles, heard }
}

function bound(address: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  return new Promise((resolve, reject) =>
    socket.once('error', reject).bind({ address, port, exclusive: true }, () => resolve(socket)),
  )
}
