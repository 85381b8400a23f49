/**
 * How commands end. 0 well, 1 the answer is no, 2 wrong usage, 3 no daemon.
 */
export const Exit = Object.freeze({ OK: 0, NO: 1, USAGE: 2, NO_DAEMON: 3 } as const)
export type Exit = (typeof Exit)[keyof typeof Exit]

/** Ends a command with one line on standard error. */
export class CommandError extends Error {
  readonly exit: Exit
  constructor(exit: Exit, message: string) {
    super(message)
    this.name = 'CommandError'
    this.exit = exit
  }
}

/**
 * The exit code of a command that ended with this error. It goes by the shape and not by the class: a command that lies beside the bundle
 * (lab, load) has a `CommandError` of its own.
 */
export function exitOf(error: unknown): Exit {
  return error instanceof Error && error.name === 'CommandError' ? (error as CommandError).exit : Exit.NO
}
