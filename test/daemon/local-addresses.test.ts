/** Interfaces and subnets of sessions, with devices that Node.js does not list. */
import t from 'tap'
import { makeNetns, needsNetns } from '../support/netns.js'

const MODULE = new URL('../../src/daemon/local-addresses.js', import.meta.url).href

t.test('a device that is up, and not running yet, is known all the same', needsNetns(), async (t) => {
  const node = makeNetns(t, 'addresses')
  // The other end stays down: as far as Node.js is concerned there is no such device.
  node.ip('link add v1 type veth peer name v2')
  node.ip('link set v1 up')
  node.ip('addr add 192.168.5.1/24 dev v1')
  node.ip('addr add fd05::1/64 dev v1 nodad')
  const source = `
    import { networkInterfaces } from 'node:os'
    import { linkOf, selfNextHop, sharedSubnet } from '${MODULE}'
    console.log(JSON.stringify({
      listed: Object.keys(networkInterfaces()),
      links: [linkOf('192.168.5.1', '192.168.5.2'), linkOf('fd05::1', 'fd05::2'), linkOf('192.168.5.1', '192.168.6.2')],
      subnet: sharedSubnet('192.168.5.1', '192.168.5.2', 0)?.length,
      other: [...selfNextHop('192.168.5.1', 1)].slice(0, 2),
    }))`
  const answer = JSON.parse(node.exec(process.execPath, '--input-type=module', '-e', source)) as unknown
  t.same(answer, { listed: ['lo'], links: ['v1', 'v1', ''], subnet: 24, other: [0xfd, 0x05] })
})
