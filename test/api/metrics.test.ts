import t from 'tap'
import { ask, dynamicPeer, givenApi, nodes, summary, torA, torAAway } from './given.js'

const peers = [torA, nodes, dynamicPeer(1), dynamicPeer(2), dynamicPeer(3, false)]

t.test('configured neighbours have their own series, those of a range are summed up', async (t) => {
  const given = await givenApi({ views: { summary: () => ({ ...summary, peers }) } })
  t.teardown(given.end)
  const { text, headers } = await ask({ socketPath: given.socket }, 'GET', '/metrics')
  t.match(headers['content-type'], /^text\/plain; version=0\.0\.4/)
  const samples = parse(text)
  const expected: Record<string, number> = {
    'bgp_peer_state{peer="192.168.0.1",name="tor-a"}': 6,
    'bgp_peer_up{peer="192.168.0.1",name="tor-a"}': 1,
    'bgp_peer_asn{peer="192.168.0.1",name="tor-a"}': 65001,
    'bgp_peer_uptime{peer="192.168.0.1",name="tor-a"}': 93784,
    'bgp_peer_flop_count{peer="192.168.0.1",name="tor-a"}': 1,
    'bgp_routes_received{peer="192.168.0.1",name="tor-a",route_family="ipv4-unicast"}': 3,
    'bgp_routes_accepted{peer="192.168.0.1",name="tor-a",route_family="ipv4-unicast"}': 2,
    'bgp_routes_advertised{peer="192.168.0.1",name="tor-a",route_family="ipv4-unicast"}': 1,
    'bgp_routes_stale{peer="192.168.0.1",name="tor-a",route_family="ipv4-unicast"}': 0,
    'bgp_range_routes_stale{range="nodes"}': 0,
    'bgp_received_message_total{peer="192.168.0.1",name="tor-a"}': 120,
    'bgp_received_keepalive_total{peer="192.168.0.1",name="tor-a"}': 115,
    'bgp_sent_update_total{peer="192.168.0.1",name="tor-a"}': 2,
    'bgp_update_errors_total{peer="192.168.0.1",name="tor-a",action="treat-as-withdraw"}': 3,
    'bgp_update_errors_total{peer="192.168.0.1",name="tor-a",action="session-reset"}': 1,
    'bgp_range_peers{range="nodes",state="established"}': 2,
    'bgp_range_peers{range="nodes",state="other"}': 1,
    'bgp_range_routes_received{range="nodes"}': 9,
    'bgp_range_update_errors{range="nodes"}': 3,
    'bgp_peers{state="established"}': 3,
    'bgp_peers{state="opensent"}': 1,
    'bgp_peers{state="idle"}': 0,
    'bgp_rib_prefixes{route_family="ipv4-unicast"}': 2,
    'bgp_rib_paths{route_family="ipv4-unicast"}': 3,
    'bgp_attr_sets{}': 2,
    'bgp_group_log_bytes{group="1",route_family="ipv4-unicast"}': 60,
    'bgp_bfd_sessions{state="up"}': 1,
    'bgp_bfd_session_up{peer="192.168.0.1",name="tor-a"}': 1,
    'bgp_bfd_session_up{peer="192.168.0.2",name="rr-1"}': 0,
    'bgp_bfd_detection_seconds{peer="192.168.0.1",name="tor-a"}': 0.3,
    'bgp_bfd_received_packets_total{peer="192.168.0.1",name="tor-a"}': 640,
    'bgp_bfd_session_downs_total{peer="192.168.0.1",name="tor-a"}': 1,
    'bgp_bfd_discarded_total{reason="too short"}': 2,
    'bgp_fib_routes{state="installed"}': 1,
    'bgp_fib_routes{state="failed"}': 0,
    'bgp_ready{}': 0,
  }
  for (const [name, value] of Object.entries(expected)) t.equal(samples.get(name), value, name)
  t.notMatch(text, /192\.168\.1\./, 'no series per dynamic peer')
  for (const quantile of ['0.5', '0.99', '1'])
    t.ok(samples.get(`bgp_eventloop_delay_seconds{quantile="${quantile}"}`)! >= 0, `loop delay ${quantile}`)
  t.ok(samples.get('process_resident_memory_bytes{}')! > 1e6)
})

t.test('?peers=all has each; the next scrape forgets them, and concurrent ones do not mix', async (t) => {
  const given = await givenApi({ views: { summary: () => ({ ...summary, peers }) } })
  t.teardown(given.end)
  const scrape = async (query = '') => (await ask({ socketPath: given.socket }, 'GET', `/metrics${query}`)).text
  const [some, all, someAgain] = await Promise.all([scrape(), scrape('?peers=all'), scrape()])
  t.match(all, /bgp_peer_state\{peer="192.168.1.3",name="nodes-3"\} 4/)
  t.notMatch(some, /192\.168\.1\./)
  t.notMatch(someAgain, /192\.168\.1\./)
  t.equal(parse(someAgain).get('bgp_received_message_total{peer="192.168.0.1",name="tor-a"}'), 120, 'not added up')
})

t.test('stale routes of peers that are away', async (t) => {
  const node = { ...dynamicPeer(1, false), staleRoutes: 2 }
  const given = await givenApi({
    views: {
      summary: () => ({ ...summary, peers: [torAAway, nodes, node, { ...dynamicPeer(2), staleRoutes: 1 }] }),
      neighbors: () => [torAAway],
    },
  })
  t.teardown(given.end)
  const samples = parse((await ask({ socketPath: given.socket }, 'GET', '/metrics?peers=all')).text)
  for (const [name, value] of Object.entries({
    'bgp_routes_stale{peer="192.168.0.1",name="tor-a",route_family="ipv4-unicast"}': 3,
    'bgp_routes_stale{peer="192.168.1.1",name="nodes-1",route_family="all"}': 2,
    'bgp_range_routes_stale{range="nodes"}': 3,
  }))
    t.equal(samples.get(name), value, name)
})

t.test('a peer with quotes and newlines in its name stays one label', async (t) => {
  const name = 'a"b\\c\nd'
  const given = await givenApi({ views: { summary: () => ({ ...summary, peers: [{ ...torA, name }] }) } })
  t.teardown(given.end)
  const { text } = await ask({ socketPath: given.socket }, 'GET', '/metrics')
  t.ok(text.includes('bgp_peer_up{peer="192.168.0.1",name="a\\"b\\\\c\\nd"} 1\n'))
})

t.test('a failing view is a failed scrape, and the next one works', async (t) => {
  let broken = true
  const given = await givenApi({
    views: {
      groups: () => {
        if (broken) throw new Error('not now')
        return []
      },
    },
  })
  t.teardown(given.end)
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/metrics')).status, 500)
  broken = false
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/metrics')).status, 200)
})

function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, labels = '{}', value] = /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line) ?? []
    if (name) samples.set(name + labels, Number(value))
  }
  return samples
}
