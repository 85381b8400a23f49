/** Socket options on real sockets of this machine: encoding, many keys, what they cost the kernel, and what is said when there is no room. */
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer, type Server, Socket } from 'node:net'
import t from 'tap'
import { SocketOptions } from '../../src/bgp/socket-options.js'
import { listenPlan, socketSettings } from '../../src/bgp/socket-settings.js'
import { Secret } from '../../src/config/secret.js'
import type { NeighborConfig } from '../../src/config/types.js'
import { parsePrefix } from '../../src/net/prefix.js'
import { openFilesLimit, parseOpenFiles } from '../../src/sys/open-files.js'
import { sockaddr } from '../../src/sys/socket.js'
import { findSys } from '../../src/sys/sys.js'
import { md5sig } from '../../src/sys/tcp.js'
import { parseTcpDrops, readTcpDrops } from '../../src/sys/tcp-counters.js'
import { neighbor } from '../support/speaker.js'

const secret = (text: string): Secret => new Secret(Buffer.from(text))
const many = (count: number): NeighborConfig[] =>
  Array.from({ length: count }, (_, i) =>
    neighbor({ name: `n${i}`, address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, password: secret(`key-${i}`) }),
  )

t.test('structures as linux/tcp.h has them', async (t) => {
  const four = md5sig(Uint8Array.of(192, 0, 2, 1), 24, Buffer.from('abc'))
  t.equal(four.length, 216)
  t.same([...four.subarray(0, 8)], [2, 0, 0, 0, 192, 0, 2, 1])
  t.same([...four.subarray(128, 140)], [1, 24, 3, 0, 0, 0, 0, 0, 97, 98, 99, 0], 'flags, length, key length, key')
  t.equal(md5sig(new Uint8Array(16), null, new Uint8Array(0))[0], 10)
  t.same([...sockaddr(Uint8Array.of(127, 0, 0, 1), 179)].slice(0, 8), [2, 0, 0, 179, 127, 0, 0, 1])
  t.equal(sockaddr(new Uint8Array(16), 179, 3)[24], 3)
})

t.test('the counters of the kernel', async (t) => {
  const text =
    'TcpExt: A TCPMD5NotFound TCPMD5Unexpected TCPMD5Failure TCPMinTTLDrop\nTcpExt: 9 1 2 3 4\nIpExt: B\nIpExt: 7\n'
  t.same(parseTcpDrops(text), { md5NotFound: 1, md5Unexpected: 2, md5Failure: 3, minTtl: 4 })
  t.equal(parseTcpDrops('nothing'), null)
  if (process.platform === 'linux') t.type(readTcpDrops()?.md5Failure, 'number')
})

t.test('what neighbours mean for a socket that listens', async (t) => {
  const { prefix, family } = { prefix: parsePrefix('10.0.0.0/8'), family: 0 as const }
  const range = { family, text: '10.0.0.0/8', address: prefix.address, length: prefix.length }
  const plan = listenPlan([
    neighbor({ name: 'a', address: '10.0.0.1', password: secret('a'), ttlSecurityHops: 1 }),
    neighbor({ name: 'r', range, password: secret('r') }),
    neighbor({ name: 'm', address: 'fe80::1%eth0', multihop: 3 }),
  ])
  t.same(
    [...plan.keys].map(([id, { prefixLength }]) => [id, prefixLength]),
    [
      ['10.0.0.1', null],
      ['10.0.0.0/8', 8],
    ],
  )
  t.match(plan, { ttl: 255, minTtl: 0 }, 'not all have ttlSecurity')
  t.equal(listenPlan([neighbor({ name: 'a', address: '10.0.0.1', ttlSecurityHops: 2 })]).minTtl, 254)
  t.match(socketSettings(neighbor({ name: 'm', address: '10.0.0.1', multihop: 3 })), { ttl: 3, minTtl: 0 })
  t.equal(socketSettings(neighbor({ name: 'h', address: '10.0.0.1', holdTimeSeconds: 300 })).userTimeoutMs, 600_000)
})

const provided = findSys().sys !== null && process.platform === 'linux'
t.test(
  'a socket that cannot be prepared is closed again',
  { skip: !provided && 'nothing provides system calls' },
  async (t) => {
    const options = new SocketOptions()
    const open = (): number => readdirSync('/proc/self/fd').length
    const before = open()
    const settings = socketSettings(neighbor({ name: 'n', address: '127.0.0.1', bindDevice: 'no-such0' }))
    for (let i = 0; i < 20; i++)
      t.throws(() => options.connectingSocket('127.0.0.1', settings), /bindDevice no-such0: there is no such interface/)
    // No address of this machine (RFC 5737).
    for (let i = 0; i < 20; i++)
      t.throws(() => options.listeningSocket('192.0.2.1', 0, false), { code: 'EADDRNOTAVAIL' })
    t.equal(open(), before)
  },
)

t.test('five hundred neighbours with passwords', { skip: !provided && 'nothing provides system calls' }, async (t) => {
  const limit = Number(readFileSync('/proc/sys/net/core/optmem_max', 'latin1'))
  const options = new SocketOptions()
  const neighbors = many(500)
  options.setPlan(listenPlan(neighbors))
  const fd = options.listeningSocket('127.0.0.1', 0, false)!
  const server = await listening(fd)
  t.teardown(() => close(options, fd, server))
  const refused = neighbors.filter((one) => options.refusal(one) !== '')
  if (limit >= 500 * 192) t.equal(refused.length, 0, `all have room in ${limit} octets`)
  else t.ok(refused.length > 0)
  // Others are not disturbed.
  const socket = connect({ host: '127.0.0.1', port: portOf(server) })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  socket.destroy()
})

t.test(
  'no room for a key: said with the number that is needed',
  { skip: !provided && 'nothing provides system calls' },
  async (t) => {
    const limit = Number(readFileSync('/proc/sys/net/core/optmem_max', 'latin1'))
    const options = new SocketOptions()
    const neighbors = many(Math.ceil(limit / 64))
    const fd = options.listeningSocket('127.0.0.1', 0, false)!
    const server = await listening(fd)
    t.teardown(() => close(options, fd, server))
    options.setPlan(listenPlan(neighbors))
    const refused = neighbors.filter((one) => options.refusal(one) !== '')
    const room = neighbors.length - refused.length
    t.comment(`${room} keys in ${limit} octets: ${(limit / room).toFixed(0)} octets for one`)
    t.ok(refused.length > 0)
    t.ok(limit / room <= 192, 'the number that is named is enough')
    const text = options.refusal(refused[0]!)
    t.match(text, /net\.core\.optmem_max of \d+, it is \d+; sysctl -w net\.core\.optmem_max=\d+, then reload/)
    t.match(text, `password of ${refused[0]!.name}: `)
    t.notMatch(text, /key-\d/)
    // Some go: there is room again.
    const fewer = neighbors.slice(-100)
    options.setPlan(listenPlan(fewer))
    t.same(
      fewer.filter((one) => options.refusal(one) !== '').map(({ name }) => name),
      [],
    )
  },
)

t.test('the key of the longest prefix counts', { skip: !provided && 'nothing provides system calls' }, async (t) => {
  const range = (text: string) => {
    const { address, length } = parsePrefix(text)
    return { family: 0 as const, text, address, length }
  }
  const neighbors = [
    neighbor({ name: 'wide', range: range('127.0.0.0/8'), password: secret('a') }),
    neighbor({ name: 'narrow', range: range('127.0.1.4/30'), password: secret('b') }),
    neighbor({ name: 'own', address: '127.0.1.5', password: secret('c') }),
  ]
  for (const [address, given] of [
    ['0.0.0.0', neighbors],
    ['0.0.0.0', [...neighbors].reverse()],
    ['::', neighbors],
  ] as const) {
    const options = new SocketOptions()
    options.setPlan(listenPlan(given))
    const fd = options.listeningSocket(address, 0, false)!
    const server = await listening(fd)
    const port = portOf(server)
    const connects = (from: string, key: string): Promise<boolean> => connectsSigned(options, port, from, secret(key))
    for (const [from, key] of [
      ['127.0.0.9', 'a'],
      ['127.0.1.4', 'b'],
      ['127.0.1.5', 'c'],
    ] as const)
      t.ok(await connects(from, key), `${address}: ${from} with ${key}`)
    t.notOk(await connects('127.0.1.4', 'a'), `${address}: not the key of the wider range`)
    t.notOk(await connects('127.0.1.5', 'b'), `${address}: not the key of the range around it`)
    close(options, fd, server)
  }
})

/** False: no answer within half a second. */
function connectsSigned(options: SocketOptions, port: number, from: string, password: Secret): Promise<boolean> {
  const settings = { password, ttl: null, minTtl: 0, device: null, userTimeoutMs: 500 }
  const socket = new Socket({ fd: options.connectingSocket('127.0.0.1', settings)!, readable: true, writable: true })
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.connect({ host: '127.0.0.1', port, localAddress: from })
  }).finally(() => socket.destroy())
}

function listening(fd: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.listen({ fd }, () => resolve(server))
  })
}
function portOf(server: Server): number {
  return (server.address() as { port: number }).port
}
function close(options: SocketOptions, fd: number, server: Server): void {
  options.forgetListening(fd)
  server.close()
}

t.test('the limit of open files', async (t) => {
  const head = 'Limit                     Soft Limit           Hard Limit           Units     \n'
  t.equal(
    parseOpenFiles(`${head}Max open files            1024                 4096                 files     \n`),
    1024,
  )
  t.equal(
    parseOpenFiles(`${head}Max open files            unlimited            unlimited            files     \n`),
    NEVER,
  )
  t.equal(parseOpenFiles(''), NEVER)
  if (process.platform === 'linux') t.ok(Number.isInteger(openFilesLimit()) || openFilesLimit() === NEVER)
})

const NEVER = Number.POSITIVE_INFINITY
