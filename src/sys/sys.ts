/**
 * Edge: the few system calls that Node.js has no API for (AF_NETLINK sockets, socket options, TUN devices), behind one small interface. Who provides
 * them is found at run time: `node:ffi` where this Node.js has it, else the optional package koffi, else nobody; then everything that can do without
 * them still works, and what cannot says so.
 */
import { createRequire } from 'node:module'

/** A system call failed. `code` is the name of the error number: `EPERM`. */
export class SysError extends Error {
  readonly code: string
  readonly errno: number
  constructor(call: string, errno: number) {
    const code = errnoName(errno)
    super(`${call}: ${code}`)
    this.name = 'SysError'
    this.code = code
    this.errno = errno
  }
}

/** All calls throw a SysError when the kernel refuses. Descriptors belong to the caller. */
export interface Sys {
  readonly provider: 'node:ffi' | 'koffi'
  socket(domain: number, type: number, protocol: number): number
  /** `address`: a sockaddr as the kernel reads it. */
  bind(fd: number, address: Uint8Array): void
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): void
  /** The option's value, at most `length` octets. */
  getsockopt(fd: number, level: number, name: number, length: number): Uint8Array
  /** `argument` is read and written in place. */
  ioctl(fd: number, request: number, argument: Uint8Array): number
  open(path: string, flags: number): number
  close(fd: number): void
  /** Moves this thread to the namespace that `fd` stands for; sockets made then belong to it. */
  setns(fd: number, type: number): void
  /** Which datagrams a socket takes: classic BPF (linux/filter.h), 8 octets for each instruction. */
  attachFilter(fd: number, program: Uint8Array): void
  /** Asks the kernel to back this memory with huge pages; it may have none to give, or be told not to. */
  adviseHugePages(memory: ArrayBufferView): void
}

/** Flags of open(2), which are those of socket(2), too. */
export const O_RDWR = 2
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000

/** An option's value of one int, in the order of this machine. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer)
}

/** Name of an error number of Linux: 1 is `EPERM`. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`
}

type Found = { readonly sys: Sys } | { readonly sys: null; readonly why: string }
let found: Found | undefined

/** The provider, or why there is none, in words for an operator. Asked once per process. NODEBGP_SYS=none behaves as if there was none (for tests). */
export function findSys(): Found {
  if (found === undefined) found = lookFor()
  return found
}

function lookFor(): Found {
  if (process.platform !== 'linux') return { sys: null, why: `this is ${process.platform}, not Linux` }
  if (process.env['NODEBGP_SYS'] === 'none') return { sys: null, why: 'NODEBGP_SYS=none is set' }
  const why: string[] = []
  for (const make of [nodeFfi, koffi]) {
    try {
      return { sys: make() }
    } catch (error) {
      why.push((error as Error).message.split('\n')[0]!)
    }
  }
  return { sys: null, why: `${why.join('; ')} (npm install koffi)` }
}

const load = createRequire(import.meta.url)

type Native = (...args: readonly unknown[]) => number | bigint

/** The calls of libc, however they were bound; `errno` is read right after a call that failed. */
function overLibc(provider: Sys['provider'], libc: (name: string) => Native, errno: () => number): Sys {
  const call = (name: string, fn: Native, ...args: readonly unknown[]): number => {
    const result = Number(fn(...args))
    if (result < 0) throw new SysError(name, errno())
    return result
  }
  const socket = libc('socket')
  const bind = libc('bind')
  const setsockopt = libc('setsockopt')
  const getsockopt = libc('getsockopt')
  const ioctl = libc('ioctl')
  const open = libc('open')
  const close = libc('close')
  const setns = libc('setns')
  const memcpy = libc('memcpy')
  const madvise = libc('madvise')
  const pageOctets = BigInt(libc('getpagesize')())
  // A copy of nothing returns where it would have gone.
  const addressOf = (memory: ArrayBufferView): bigint => BigInt(memcpy(memory, memory, 0))
  return {
    provider,
    socket: (domain, type, protocol) => call('socket', socket, domain, type, protocol),
    bind: (fd, address) => void call('bind', bind, fd, address, address.length),
    setsockopt: (fd, level, name, value) => void call('setsockopt', setsockopt, fd, level, name, value, value.length),
    getsockopt(fd, level, name, length) {
      const value = new Uint8Array(length)
      const size = int32(length)
      call('getsockopt', getsockopt, fd, level, name, value, size)
      return value.subarray(0, new Int32Array(size.buffer)[0])
    },
    ioctl: (fd, request, argument) => call('ioctl', ioctl, fd, request, argument),
    open: (path, flags) => call('open', open, Buffer.from(`${path}\0`), flags),
    close: (fd) => void call('close', close, fd),
    setns: (fd, type) => void call('setns', setns, fd, type),
    attachFilter(fd, program) {
      // sock_fprog: number of instructions u16, pointer to them.
      const where = addressOf(program)
      const words = SHORT_POINTERS.has(process.arch) ? Uint32Array.of(0, Number(where)) : BigUint64Array.of(0n, where)
      const value = new Uint8Array(words.buffer)
      new Uint16Array(words.buffer)[0] = program.length / 8
      call('setsockopt', setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, value, value.length)
    },
    adviseHugePages(memory) {
      const start = addressOf(memory)
      const before = Number(start % pageOctets)
      call('madvise', madvise, start - BigInt(before), before + memory.byteLength, MADV_HUGEPAGE)
    },
  }
}

const SHORT_POINTERS: ReadonlySet<string> = new Set(['arm', 'ia32'])
const SOL_SOCKET = 1
const SO_ATTACH_FILTER = 26
const MADV_HUGEPAGE = 14

/** Signatures by name: i int, u unsigned long (or pointer as one), p pointer to octets. All return an int but for those in POINTERS. */
const SIGNATURES: Readonly<Record<string, string>> = {
  socket: 'iii',
  bind: 'ipi',
  setsockopt: 'iiipi',
  getsockopt: 'iiipp',
  ioctl: 'iup',
  open: 'pi',
  close: 'i',
  setns: 'ii',
  memcpy: 'ppu',
  madvise: 'uui',
  getpagesize: '',
}
const POINTERS: ReadonlySet<string> = new Set(['memcpy'])

function koffi(): Sys {
  const module = load('koffi') as {
    load(path: string | null): { func(name: string, result: string, args: readonly string[]): Native }
    errno(): number
  }
  const library = module.load(null)
  const types: Readonly<Record<string, string>> = { i: 'int', u: 'ulong', p: 'void *' }
  const bindCall = (name: string): Native =>
    library.func(
      name,
      POINTERS.has(name) ? 'ulong' : 'int',
      [...SIGNATURES[name]!].map((one) => types[one]!),
    )
  return overLibc('koffi', bindCall, () => module.errno())
}

/** Node.js 26.1 and later. */
function nodeFfi(): Sys {
  if (!process.features || Number(process.versions.node.split('.')[0]) < 26) throw new Error('Node.js has no node:ffi')
  const module = load('node:ffi') as {
    dlopen(
      path: string | null,
      functions: Readonly<Record<string, { readonly arguments: readonly string[]; readonly return: string }>>,
    ): { readonly functions: Readonly<Record<string, Native>> }
    toArrayBuffer(pointer: unknown, length: number, copy: boolean): ArrayBuffer
  }
  const types: Readonly<Record<string, string>> = { i: 'int32', u: 'uint64', p: 'buffer' }
  const functions: Record<string, { arguments: string[]; return: string }> = {
    __errno_location: { arguments: [], return: 'pointer' },
  }
  for (const [name, signature] of Object.entries(SIGNATURES)) {
    functions[name] = {
      arguments: [...signature].map((one) => types[one]!),
      return: POINTERS.has(name) ? 'uint64' : 'int32',
    }
  }
  const library = module.dlopen(null, functions)
  const errno = (): number =>
    new Int32Array(module.toArrayBuffer(library.functions['__errno_location']!(), 4, true))[0]!
  const bindCall = (name: string): Native => {
    const native = library.functions[name]!
    const signature = SIGNATURES[name]!
    if (!signature.includes('u')) return native
    // unsigned long is a BigInt there.
    return (...args) => native(...args.map((one, at) => (signature[at] === 'u' ? BigInt(one as number) : one)))
  }
  return overLibc('node:ffi', bindCall, errno)
}

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries((load('node:os') as typeof import('node:os')).constants.errno).map(([name, value]) => [value, name]),
)
