/** Two daemons whose VTEP addresses and MACs no rule could guess: each learns the other's from the Tunnel Encapsulation attribute (RFC 9012). */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { needsNetns } from '../support/netns.js'
import { MAIN } from '../support/nodebgp.js'
import { makeTwoNodes } from './encap-support.js'
import { until } from './support.js'

t.test('VTEPs over BGP', needsNetns(), async (t) => {
  const world = makeTwoNodes(t)
  const folder = mkdtempSync(join(tmpdir(), 'encap-bgp-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  let log = ''
  for (const index of [0, 1] as const) {
    const i = index + 1
    const file = join(folder, `${i}.yaml`)
    const other = `{ name: other, address: 192.168.0.${3 - i}, asn: 64512, connectRetry: 1s, passive: ${i === 2} }`
    const vxlan = `{ layout: calico, address: 10.244.${i}.9/32, mac: '66:00:00:00:00:0${i}' }`
    writeFileSync(
      file,
      `asn: 64512
routerId: 192.168.0.${i}
listen: [{ address: 192.168.0.${i}, port: 179 }]
api: { socket: ${folder}/${i}.sock }
stateFile: off
originate: [{ prefix: 10.244.${i}.0/26, blackhole: true }]
neighbors: [${other}]
fib: { accept: [10.244.0.0/16], encapsulation: vxlan, vxlan: ${vxlan} }
`,
    )
    const [program, ...args] = [...world.nodes[index].execPrefix, process.execPath, MAIN, 'run', '-c', file]
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    t.teardown(() => child.kill('SIGKILL'))
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        log += chunk
      })
  }
  for (const [index, node] of world.nodes.entries()) {
    const far = 2 - index
    const route = `10.244.${far}.0/26 via 10.244.${far}.9 dev vxlan.calico onlink`
    try {
      await until(route, () => node.ip('route show proto 179').includes(route))
    } catch (error) {
      t.comment(log)
      throw error
    }
    t.match(
      node.ip('neigh show dev vxlan.calico'),
      new RegExp(`10\\.244\\.${far}\\.9 lladdr 66:00:00:00:00:0${far} PERMANENT`),
    )
    t.match(
      node.exec('bridge', 'fdb', 'show', 'dev', 'vxlan.calico'),
      new RegExp(`66:00:00:00:00:0${far} dst 192\\.168\\.0\\.${far} self`),
    )
  }
  t.ok(world.ping())
})
