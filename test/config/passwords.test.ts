/** Passwords of neighbours: where they come from, what is refused, and that they never come out. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { diffConfig } from '../../src/config/diff.js'
import { explainConfig, summarizeConfig } from '../../src/config/explain.js'
import { loadConfig } from '../../src/config/load.js'
import type { Config, NeighborConfig } from '../../src/config/types.js'
import { configOf, problemsOf, sound } from './support.js'

const dir = mkdtempSync(join(tmpdir(), 'nbpw-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))
const configFile = join(dir, 'bgp.yaml')
const keyFile = join(dir, 'key')

function load(neighbors: string, env: Record<string, string> = {}, more = '') {
  writeFileSync(configFile, sound(`${more}neighbors:\n${neighbors}`))
  return loadConfig(configFile, { env, defaultRouterId: () => 1 })
}
function loaded(neighbors: string, env: Record<string, string> = {}, more = ''): Config {
  const result = load(neighbors, env, more)
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join('\n'))
  return result.config
}
function textOf({ password }: NeighborConfig): string | null {
  return password === null ? null : Buffer.from(password.octets).toString('latin1')
}
const one = (keys: string): string => `  - { address: 10.0.0.2, asn: 64512, ${keys} }\n`

t.test('from the file, an environment variable, the value, or another file', async (t) => {
  const of = (keys: string, env = {}) => textOf(loaded(one(keys), env).neighbors[0]!)
  t.equal(of("password: 'pa ss'"), 'pa ss')
  t.equal(of('password: 123456'), '123456', 'digits need no quotes')
  t.equal(of('password: false'), null)
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands in the file
  t.equal(of('password: "${KEY}"', { KEY: 'from-env' }), 'from-env')
  t.equal(of('passwordEnv: KEY', { KEY: 'from-env' }), 'from-env')
  for (const [written, read] of [
    ['key-1', 'key-1'],
    ['key-2\n', 'key-2'],
    ['key-3\r\n', 'key-3'],
    [' key 4 \n', ' key 4 '],
    ['x'.repeat(80) + '\n', 'x'.repeat(80)],
    ['clé\n', Buffer.from('clé').toString('latin1')],
  ] as const) {
    writeFileSync(keyFile, written)
    t.equal(of(`passwordFile: ${keyFile}`), read, JSON.stringify(written))
  }
})

t.test('what is refused, and where', async (t) => {
  const problem = (keys: string, env = {}) => {
    const result = load(one(keys), env)
    return result.ok ? [] : result.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`)
  }
  t.match(problem(`passwordFile: ${dir}/none`), [
    /^4 neighbors\[0\]\.passwordFile: .*none cannot be read: no such file/,
  ])
  t.match(problem(`passwordFile: ${dir}`), [/it is a directory/])
  t.match(problem('passwordFile: here.key'), [/expected the absolute path of a file/])
  t.match(problem('passwordEnv: NOT_SET'), [/variable that is named here is not set/])
  t.match(problem('passwordEnv: "$KEY"'), [/expected the name of an environment variable/])
  t.match(problem("password: ''"), [/expected a password of 1 to 80 octets, not an empty one/])
  t.match(problem(`password: ${'x'.repeat(81)}`), [/more do not fit TCP MD5\), not of 81/])
  t.match(problem('password: "a\\nb"'), [/on one line/])
  t.match(problem('password: true'), [/expected a password as text/])
  t.match(problem('password: a, passwordEnv: B', { B: 'b' }), [/password and passwordEnv are both set; keep one/])
  for (const [octets, message] of [
    ['\n', /key has to hold a password of 1 to 80 octets, not an empty one/],
    ['two\nlines\n', /has to hold a password on one line/],
    ['y'.repeat(5000), /it holds 5000 octets/],
  ] as const) {
    writeFileSync(keyFile, octets)
    t.match(problem(`passwordFile: ${keyFile}`), [message])
  }
  t.match(problem('ttlSecurity: 1, multihop: 2'), [/ttlSecurity and multihop exclude each other/])
  t.match(problem('ttlSecurity: 255'), [/expected a number of hops from 1 to 254, or false/])
  t.match(problem('multihop: 0'), [/expected a number of hops from 1 to 255, or false/])
  t.match(problem('bindDevice: "a device"'), [/expected the name of an interface/])
  t.match(problemsOf(sound('neighbors: [{ address: "fe80::1%eth0", asn: 64512, bindDevice: eth1 }]')), [
    { message: /bindDevice eth1 is not the interface/ },
  ])
})

t.test('a template gives a password, and a neighbour another one, in whatever form', async (t) => {
  const templates = 'templates: { t: { password: from-template, ttlSecurity: 1, multihop: false } }\n'
  const config = loaded(
    [
      '{ address: 10.0.0.1, asn: 1, use: t }',
      '{ address: 10.0.0.2, asn: 1, use: t, passwordEnv: KEY, ttlSecurity: false, multihop: 2 }',
      '{ address: 10.0.0.3, asn: 1, use: t, password: false }',
    ]
      .map((text) => `  - ${text}\n`)
      .join(''),
    { KEY: 'own' },
    templates,
  )
  t.same(config.neighbors.map(textOf), ['from-template', 'own', null])
  t.same(
    config.neighbors.map(({ ttlSecurityHops, multihop }) => [ttlSecurityHops, multihop]),
    [
      [1, null],
      [null, 2],
      [1, null],
    ],
  )
})

t.test('a neighbour without a password inside a range with one could never connect', async (t) => {
  const range = '{ name: nodes, range: 10.0.0.0/16, asn: 64512, password: a }'
  const messages = (...neighbors: string[]): string[] =>
    problemsOf(sound(`neighbors: [${[range, ...neighbors].join(', ')}]`)).map(
      ({ path, message }) => `${path}: ${message}`,
    )
  t.match(messages('{ name: x, address: 10.0.1.1, asn: 64512 }'), [
    /^neighbors\[1\]\.address: x has no password, but lies inside nodes \(10\.0\.0\.0\/16, line 3\).*give it a password/,
  ])
  t.match(messages('{ range: 10.0.1.0/24, asn: 64512 }'), [/^neighbors\[1\]\.range: 10\.0\.1\.0\/24 has no password/])
  t.match(messages('{ address: 10.0.1.1, asn: 64512, password: false }'), [/has no password/])
  t.same(messages('{ address: 10.0.1.1, asn: 64512, password: b }'), [])
  t.same(messages('{ address: 10.1.0.1, asn: 64512 }', '{ range: 10.0.0.0/8, asn: 64512 }'), [], 'outside, and around')
  t.match(
    problemsOf(
      sound(
        'neighbors: [{ address: "fe80::1%eth0", asn: 64512, password: a }, { address: "fe80::1%eth1", asn: 64512, password: b }]',
      ),
    ),
    [{ message: /same link-local address on two interfaces/ }],
  )
})

t.test('it never comes out', async (t) => {
  const config = configOf(sound("neighbors: [{ address: 10.0.0.2, asn: 64512, password: 'hunter2' }]"))
  const [neighbor] = config.neighbors
  const shown = [
    JSON.stringify(config),
    inspect(config, { depth: 9, showHidden: true }),
    String(neighbor!.password),
    explainConfig(config).join('\n'),
    JSON.stringify(summarizeConfig(config)),
    JSON.stringify({ ...neighbor }),
  ]
  for (const text of shown) t.notMatch(text, 'hunter2')
  t.match(JSON.stringify(config), '(secret)')
  for (const keys of ["password: 'hunter2', passwordFile: /hunter2", 'passwordEnv: hunter2', 'password: [hunter2]'])
    t.notMatch(JSON.stringify(problemsOf(sound(`neighbors: [{ address: 10.0.0.2, asn: 64512, ${keys} }]`))), 'hunter2')
})

t.test('a reload: another password changes the live session, one added or taken away needs a new one', async (t) => {
  const config = (keys: string) => configOf(sound(`neighbors: [{ name: a, address: 10.0.0.2, asn: 64512, ${keys} }]`))
  const diff = (before: string, after: string) => {
    const { neighborsReset, neighborsChanged } = diffConfig(config(before), config(after))
    return { neighborsReset, neighborsChanged }
  }
  const keys = (...names: string[]) => [{ name: 'a', keys: names }]
  t.same(diff('password: a', 'password: b'), { neighborsReset: [], neighborsChanged: keys('password') })
  t.same(diff('password: a', 'password: a'), { neighborsReset: [], neighborsChanged: [] })
  t.same(diff('password: a', 'port: 179'), { neighborsReset: keys('password'), neighborsChanged: [] })
  t.same(diff('port: 179', 'password: a'), { neighborsReset: keys('password'), neighborsChanged: [] })
  t.same(diff('ttlSecurity: 1', 'multihop: 2').neighborsReset, keys('ttlSecurityHops', 'multihop'))
})

t.test('a file that may not be read', { skip: process.getuid?.() === 0 && 'root may read everything' }, async (t) => {
  writeFileSync(keyFile, 'a')
  chmodSync(keyFile, 0)
  const result = load(one(`passwordFile: ${keyFile}`))
  t.match(result, { ok: false, problems: [{ message: /permission denied/ }] })
})
