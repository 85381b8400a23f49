/** Lists that grow on the way out beyond what an attribute's length field can name: such a route is not sent, and nothing is thrown. */
import t from 'tap'
import { policy } from '../rib/given.js'
import { announceBytes } from '../support/update-bytes.js'
import { attributesWith, GroupWorld } from './given.js'

t.test('communities that the export policy makes too long', async (t) => {
  const world = new GroupWorld({ logOctets: 1 << 20, windowOctets: 1 << 20 })
  const communitiesAdd = Array.from({ length: 60 }, (_, n) => `64512:${n}`)
  const sender = world.up('sender', { maxMessageOctets: 65535 })
  const listener = world.up('listener', {
    maxMessageOctets: 65535,
    exportPolicy: policy([{}, 'accept', { communitiesAdd }]),
  })
  const communities = Buffer.alloc(4 * 16_350)
  for (let n = 0; n < 16_350; n++) communities.writeUInt32BE(0x10000 + n, n * 4)
  world.send(sender, announceBytes(['10.1.0.0/16'], attributesWith({ communities })))
  world.send(sender, announceBytes(['10.2.0.0/16'], attributesWith({ communities: communities.subarray(0, 400) })))
  world.quiet()
  t.same([...listener.receiver.routes.keys()], ['0 10.2.0.0/16'])
})
