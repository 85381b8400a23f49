/** What BoRR and EoRR of a neighbour played by hand do to its routes (RFC 7313 §4). */
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { attributesWith } from '../reflector/given.js'
import { message } from '../support/pair.js'
import { announceBytes } from '../support/update-bytes.js'
import { until } from '../support/wait.js'
import { Given, type Node, neighbor, PORT } from './given.js'

const BORR = message(5, '0001 01 01')
const EORR = message(5, '0001 02 01')
const END_OF_RIB = message(2, '0000 0000')
/** IPv4 unicast, route refresh, 4-octet AS 64512, enhanced route refresh; then graceful restart with IPv4 unicast, 120 s. */
const PLAIN = '0104 0001 0001 0200 4104 0000fc00 4600'
const GRACEFUL = `${PLAIN} 4006 0078 0001 01 80`

/** An internal neighbour of the node, Established, that has announced two routes. */
async function session(t: Test, ours: string, theirs: string, capabilities: string): Promise<[Node, Socket]> {
  const given = new Given()
  t.teardown(() => given.stop())
  const node = await given.node(
    ours,
    `neighbors:\n${neighbor(ours, 'raw', theirs, 'passive: true, families: [ipv4-unicast], gracefulRestart: true')}`,
  )
  const socket = connect({ host: ours, port: PORT, localAddress: theirs })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {}).resume()
  const octets = capabilities.replace(/\s/g, '').length / 2
  const hex = (value: number): string => value.toString(16).padStart(2, '0')
  const address = theirs.split('.').map(Number).map(hex).join('')
  socket.write(message(1, `04 fc00 005a ${address} ${hex(octets + 2)} 02 ${hex(octets)} ${capabilities}`))
  socket.write(message(4))
  socket.write(announceBytes(['10.1.0.0/16'], attributesWith({ nextHop: Uint8Array.of(203, 0, 113, 1) })))
  socket.write(announceBytes(['10.2.0.0/16'], attributesWith({ nextHop: Uint8Array.of(203, 0, 113, 1) })))
  await has(node, '10.1.0.0/16', '10.2.0.0/16')
  return [node, socket]
}

async function has(node: Node, ...prefixes: string[]): Promise<void> {
  await until(
    `the routes ${prefixes.join(', ')}`,
    async () => (await node.rib('family=ipv4-unicast')).map(({ prefix }) => prefix).sort(),
    (found) => found.join() === prefixes.join(),
  )
}

t.test('what is not said again between BoRR and EoRR goes', async (t) => {
  const [node, socket] = await session(t, '127.3.7.1', '127.3.7.2', PLAIN)
  const again = announceBytes(['10.2.0.0/16'], attributesWith({ nextHop: Uint8Array.of(203, 0, 113, 1) }))
  socket.write(Buffer.concat([BORR, again, BORR, again, EORR]))
  await has(node, '10.2.0.0/16')
  const view = await node.neighbor('raw')
  t.match(view, { state: 'Established', negotiated: { enhancedRefresh: true }, refreshes: { ignored: 0, ended: 1 } })
  socket.write(EORR)
  await until('an EoRR alone is ignored', async () => (await node.neighbor('raw')).refreshes?.ignored === 1)
  await has(node, '10.2.0.0/16')
})

t.test('before the End-of-RIB of a peer with graceful restart both are ignored', async (t) => {
  const [node, socket] = await session(t, '127.3.7.3', '127.3.7.4', GRACEFUL)
  socket.write(Buffer.concat([BORR, EORR]))
  await until('both are ignored', async () => (await node.neighbor('raw')).refreshes?.ignored === 2)
  await has(node, '10.1.0.0/16', '10.2.0.0/16')
  socket.write(Buffer.concat([END_OF_RIB, BORR, EORR]))
  await has(node)
  t.match(await node.neighbor('raw'), { state: 'Established', refreshes: { ignored: 2, ended: 1 } })
})
