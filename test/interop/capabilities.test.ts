/**
 * What BIRD and FRR negotiate with us beyond families, seen from both ends: extended messages (RFC 8654), marked refreshes (RFC 7313), IPv4 over IPv6
 * next hops (RFC 8950), link-local sessions with kernel routes (RFC 2545), roles (RFC 9234).
 */
import t from 'tap'
import { REQUIREMENTS } from '../support/daemons/index.js'
import { type Host, Segment } from '../support/daemons/segment.js'
import { Nodebgp } from '../support/nodebgp.js'
import { requireOrSkip } from '../support/require.js'
import { isControl } from '../support/subject.js'
import { until } from '../support/wait.js'
import { BIRD_TIMERS, frrTimers, PlainBird, PlainFrr } from './plain-daemons.js'

const ASN = 64512
const requirement = {
  commands: ['ip', ...REQUIREMENTS.bird.commands, ...REQUIREMENTS.frr.commands],
  packages: ['iproute2', REQUIREMENTS.bird.package, REQUIREMENTS.frr.package],
  root: true,
}
const THEIRS = '10.244.2.0/26'
const OURS = '10.244.1.0/26'

if (!isControl && requireOrSkip(t, requirement)) {
  t.test('extended messages and marked refreshes with BIRD and FRR, a third peer without', async (t) => {
    const segment = new Segment(t)
    const [here, sender, other, plain] = [1, 2, 3, 4].map((n) => segment.host(`h${n}`, n)) as [Host, Host, Host, Host]
    const us = segment.add(
      new Nodebgp(
        { host: here, asn: ASN, clusterId: '10.0.0.1', peers: [], routes: [{ prefix: OURS }] },
        {
          neighbors: [sender, other, plain].map(({ label, v4 }) => ({
            ...{ name: label, address: v4, asn: ASN, reflectorClient: true, holdTime: '9s', connectRetry: '1s' },
            extendedMessages: true,
          })),
        },
      ),
    )
    // 500 large communities: 6000 octets.
    const many = Array.from({ length: 500 }, (_, n) => `bgp_large_community.add((${ASN},${n},1));`).join(' ')
    const bird = segment.add(
      new PlainBird(
        sender,
        `protocol static { ipv4; route ${THEIRS} blackhole { ${many} }; route 10.244.3.0/26 blackhole; }
        protocol bgp uplink { local ${sender.v4} as ${ASN}; neighbor ${here.v4} as ${ASN}; ${BIRD_TIMERS}
          enable extended messages on; ipv4 { import all; export all; next hop self; }; }`,
      ),
    )
    const third = segment.add(
      new PlainBird(
        plain,
        `protocol bgp uplink { local ${plain.v4} as ${ASN}; neighbor ${here.v4} as ${ASN}; ${BIRD_TIMERS}
          ipv4 { import all; export none; }; }`,
      ),
    )
    const frr = segment.add(
      new PlainFrr(
        other,
        `router bgp ${ASN}
        bgp router-id ${other.v4}
        no bgp network import-check
        neighbor ${here.v4} remote-as ${ASN}
        ${frrTimers(here.v4)}
        address-family ipv4 unicast
        network 10.244.4.0/26
        exit-address-family`,
      ),
    )
    await Promise.all([us, bird, third, frr].map((one) => one.start()))
    await frr.shows(/Large Community: (64512:\d+:1 ?){500}/, `show bgp ipv4 unicast ${THEIRS}`)
    await third.shows(/10\.244\.3\.0\/26[\s\S]*10\.244\.4\.0\/26/, 'show', 'route', 'primary')
    t.notMatch(await third.ask('show', 'route', 'all'), THEIRS, 'withheld from the peer without the capability')
    const explained = (await us.get(`/v1/explain?prefix=${THEIRS}`)) as {
      notSentTo: { peer: string; reason: string }[]
    }
    t.match(explained.notSentTo.find(({ peer }) => peer === plain.label)?.reason, /do not fit.*RFC 8654/)
    t.equal((await us.neighbor(other.v4)).negotiated?.maxMessageOctets, 65535)
    t.equal((await us.neighbor(plain.v4)).negotiated?.maxMessageOctets, 4096)
    t.match((await us.neighbor(plain.v4)).perFamily, [{ tooLong: 1 }])

    for (const { v4 } of [sender, other]) {
      t.equal((await us.neighbor(v4)).negotiated?.enhancedRefresh, true)
      t.match(await us.command('neighbor', v4, 'refresh'), /RFC 7313/)
      await until(`${v4} has marked its answer`, async () => (await us.neighbor(v4)).refreshes?.ended === 1)
    }
    t.match(await us.command('show', 'neighbors', other.label), /Route refresh: +enhanced, 1 answers/)
    const before = await us.messages(sender.v4, 'sent', /refresh/i)
    await bird.ask('reload', 'in', 'uplink')
    await frr.ask(`clear bgp ${here.v4} soft in`)
    await until('BoRR and EoRR to BIRD', async () => (await us.messages(sender.v4, 'sent', /refresh/i)) === before + 2)
    await until('BoRR and EoRR to FRR', async () => (await us.messages(other.v4, 'sent', /refresh/i)) === before + 2)
    await frr.shows(/10\.244\.3\.0\/26/, 'show bgp ipv4 unicast')
    await bird.shows(/10\.244\.1\.0\/26[\s\S]*10\.244\.4\.0\/26/, 'show', 'route', 'primary')
    t.equal((await us.neighbor(sender.v4)).establishedCount, 1, 'no session was lost over it')
    t.equal((await us.neighbor(other.v4)).establishedCount, 1)
    t.ok((await us.neighbor(other.v4)).hostname !== undefined, 'FRR tells its name')
  })

  t.test('IPv4 over IPv6 next hops with BIRD and FRR, into the kernel', async (t) => {
    const segment = new Segment(t)
    const [here, one, two] = [1, 2, 3].map((n) => segment.host(`h${n}`, n)) as [Host, Host, Host]
    const us = segment.add(
      new Nodebgp(
        { host: here, asn: ASN, peers: [], routes: [{ prefix: OURS }], kernel: true },
        {
          originate: [{ prefix: OURS, blackhole: true }],
          neighbors: [one, two].map(({ label, v6 }, at) => ({
            ...{ name: label, address: v6, asn: 65002 + at, families: ['ipv4-unicast'], extendedNextHop: true },
            ...{ holdTime: '9s', connectRetry: '1s', import: 'accept-all', export: 'accept-all' },
          })),
        },
      ),
    )
    const bird = segment.add(
      new PlainBird(
        one,
        `protocol static { ipv4; route ${THEIRS} blackhole; }
        protocol bgp uplink { local ${one.v6} as 65002; neighbor ${here.v6} as ${ASN}; ${BIRD_TIMERS}
          ipv4 { import all; export all; extended next hop on; }; }`,
      ),
    )
    const frr = segment.add(
      new PlainFrr(
        two,
        `router bgp 65003
        bgp router-id ${two.v4}
        no bgp ebgp-requires-policy
        no bgp network import-check
        no bgp default ipv4-unicast
        neighbor ${here.v6} remote-as ${ASN}
        neighbor ${here.v6} capability extended-nexthop
        ${frrTimers(here.v6)}
        address-family ipv4 unicast
        network 10.244.3.0/26
        neighbor ${here.v6} activate
        exit-address-family`,
      ),
    )
    await Promise.all([us, bird, frr].map((each) => each.start()))
    await bird.shows(new RegExp(`${OURS}[\\s\\S]*BGP.next_hop: ${here.v6}`), 'show', 'route', 'all', OURS)
    await frr.shows(new RegExp(`${here.v6}`), `show bgp ipv4 unicast ${OURS}`)
    await until(
      'kernel routes',
      () => here.ns.ip('route show'),
      (text) => text.split('inet6').length === 3,
    )
    t.match(here.ns.ip(`route show ${THEIRS}`), `via inet6 ${one.v6} dev eth0`)
    t.match(here.ns.ip('route show 10.244.3.0/26'), /via inet6 (fd00:5::3|fe80::\S+) dev eth0/)
    await bird.shows(/10\.244\.3\.0\/26/, 'show', 'route')
    t.pass('what FRR announces reaches BIRD through us')
    await frr.ask('configure terminal', 'router bgp 65003', 'address-family ipv4 unicast', 'no network 10.244.3.0/26')
    await until(
      'withdrawn',
      () => here.ns.ip('route show 10.244.3.0/26'),
      (text) => text.trim() === '',
    )
    await until(
      'withdrawn at BIRD',
      () => bird.ask('show', 'route'),
      (text) => !text.includes('10.244.3.0/26'),
    )
    t.equal((await us.neighbor(one.v6)).establishedCount, 1)
  })

  t.test('a session between link-local addresses with BIRD: routes of both families in the kernel', async (t) => {
    const segment = new Segment(t)
    const [here, one] = [1, 2].map((n) => segment.host(`h${n}`, n)) as [Host, Host]
    const [ourAddress, theirAddress] = await Promise.all([linkLocal(here), linkLocal(one)])
    const forms = ['native', 'single', 'double'] as const
    const us = segment.add(
      new Nodebgp(
        { host: here, asn: ASN, peers: [], kernel: true },
        { neighbors: [linkLocalNeighbor('native')], originate: [{ prefix: 'fd00:244:1::/64' }, { prefix: OURS }] },
      ),
    )
    function linkLocalNeighbor(form: (typeof forms)[number]): Record<string, unknown> {
      return {
        ...{ name: 'tor', address: `${theirAddress}%eth0`, asn: 65002, families: ['ipv4-unicast', 'ipv6-unicast'] },
        ...{ extendedNextHop: true, linkLocalNextHop: form, holdTime: '9s', connectRetry: '1s' },
        ...{ import: 'accept-all', export: 'accept-all' },
      }
    }
    const bird = segment.add(
      new PlainBird(
        one,
        `protocol static { ipv4; route ${THEIRS} blackhole; }
        protocol static { ipv6; route fd00:244:2::/64 blackhole; }
        protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }
        protocol bgp uplink { local ${theirAddress} as 65002; neighbor ${ourAddress}%eth0 as ${ASN}; ${BIRD_TIMERS}
          ipv4 { import all; export all; extended next hop on; }; ipv6 { import all; export all; }; }`,
      ),
    )
    await Promise.all([us, bird].map((each) => each.start()))
    for (const form of forms) {
      us.overrides = { ...us.overrides, neighbors: [linkLocalNeighbor(form)] }
      us.reload()
      await bird.shows(new RegExp(`${ourAddress}`), 'show', 'route', 'all', 'fd00:244:1::/64')
      await until(
        'BIRD writes it',
        () => one.ns.ip('-6 route show fd00:244:1::/64'),
        (text) =>
          text.includes(`via ${ourAddress} dev eth0`) ||
          (form === 'native' && text.includes(`via ${here.v6} dev eth0`)),
      )
      t.pass(`BIRD forwards to us: ${form}`)
    }
    await until(
      'the IPv6 route',
      () => here.ns.ip('-6 route show fd00:244:2::/64'),
      (text) => text.includes(`via ${theirAddress} dev eth0`),
    )
    await until(
      'the IPv4 route',
      () => here.ns.ip(`route show ${THEIRS}`),
      (text) => text.includes(`via inet6 ${theirAddress} dev eth0`),
    )
    const [path] = (await us.rib('ipv6-unicast')).filter(({ prefix }) => prefix === 'fd00:244:2::/64')
    t.match(path, { valid: true, nextHop: `${theirAddress}%eth0` })
  })

  t.test('roles with BIRD: a pair that fits, with OTC, and one that does not', async (t) => {
    const segment = new Segment(t)
    const [here, customer, provider] = [1, 2, 3].map((n) => segment.host(`h${n}`, n)) as [Host, Host, Host]
    const us = segment.add(
      new Nodebgp(
        { host: here, asn: ASN, peers: [], routes: [{ prefix: OURS }] },
        {
          neighbors: [customer, provider].map(({ label, v4 }, at) => ({
            ...{ name: label, address: v4, asn: 65002 + at, role: 'provider', roleStrict: true },
            ...{ holdTime: '9s', connectRetry: '1s', import: 'accept-all', export: 'accept-all' },
          })),
        },
      ),
    )
    const birdOf = (host: Host, asn: number, role: string): PlainBird =>
      segment.add(
        new PlainBird(
          host,
          `protocol static { ipv4; route ${THEIRS} blackhole; }
          protocol bgp uplink { local ${host.v4} as ${asn}; neighbor ${here.v4} as ${ASN}; ${BIRD_TIMERS}
            local role ${role}; ipv4 { import all; export all; }; }`,
        ),
      )
    const fits = birdOf(customer, 65002, 'customer')
    const wrong = birdOf(provider, 65003, 'provider')
    await Promise.all([us, fits, wrong].map((one) => one.start()))
    await fits.shows(/BGP.otc: 64512/, 'show', 'route', 'all', OURS)
    t.match((await us.neighbor(customer.v4)).negotiated, { localRole: 'provider', peerRole: 'customer' })
    await until(
      '2/11',
      async () => (await us.neighbor(provider.v4)).lastReason,
      (text) => /Role Mismatch/.test(text),
    )
    t.equal((await us.neighbor(provider.v4)).establishedCount, 0)
  })
}

/** The address that the kernel gave eth0, once it may be used. */
async function linkLocal(host: Host): Promise<string> {
  const text = await until(
    `link-local address of ${host.label}`,
    () => host.ns.ip('-6 addr show dev eth0 scope link'),
    (shown) => shown.includes('fe80') && !shown.includes('tentative'),
  )
  return /inet6 (fe80::[0-9a-f:]+)/.exec(text)![1]!
}
