/**
 * Edge: a stream over a descriptor of a kind that Node.js has no class for, such as a netlink socket or a TUN device. Its Pipe handle takes any descriptor that epoll can
 * wait for, and reads what is there: each chunk is what one read(2) gave.
 */
import { connect, Socket } from 'node:net'

/** Reads the descriptor, which it owns from now on; null where this Node.js does not do it, then it is the caller's still. */
export function streamOver(fd: number): Socket | null {
  try {
    // The class of the handle is not exported; a connection attempt to nowhere shows it.
    const probe = connect({ path: `\0nodebgp-${process.pid}` })
    probe.on('error', () => {})
    const Pipe = (probe as unknown as { _handle: { constructor: new (type: number) => PipeHandle } })._handle
      .constructor
    probe.destroy()
    const handle = new Pipe(PIPE_SOCKET)
    const failed = handle.open(fd)
    if (typeof failed === 'number' && failed !== 0) return null
    return new Socket({ handle, readable: true, writable: false } as ConstructorParameters<typeof Socket>[0])
  } catch {
    return null
  }
}

interface PipeHandle {
  open(fd: number): unknown
}

const PIPE_SOCKET = 0
