import './require-node.ts'
import { TidemarkError } from './errors.ts'
import { Failing } from './failing.ts'
import type { BackupGroup, ViewReport } from './types.ts'

const KINDS = ['terminate', 'exit', 'throw', 'hang'] as const

/**
 * Makes a component fail, as a thread can: it is terminated from outside, exits, throws, or hangs until it is found out
 * (GroupOptions.hangTimeoutMs). Its memory is overwritten when its thread has ended, so that nothing can be recovered from
 * it. For tests of programs that embed a group; several may be asked for at once.
 *
 * Resolves when every acknowledged update is held by mirrors+1 components again. With more failures at once than the group
 * has mirrors something may be lost: then it rejects, and the group is suspended.
 * @throws TidemarkError TIDEMARK_UNKNOWN_COMPONENT, TIDEMARK_OPTIONS, TIDEMARK_CLOSED, TIDEMARK_SUSPENDED, TIDEMARK_DATA_LOSS
 */
export async function failComponent(
  group: BackupGroup,
  id: number,
  how: 'terminate' | 'exit' | 'throw' | 'hang' = 'terminate'
): Promise<ViewReport> {
  if (!KINDS.includes(how)) {
    const message = `how must be one of ${KINDS.join(', ')}, not ${String(how)}`
    throw new TidemarkError('TIDEMARK_OPTIONS', message, { option: 'how' })
  }
  return failingOf(group).fail(id, how)
}

/**
 * Ends the thread of a secondary component (0 ..) of a group with a local secondary, at any instant of what it does with its
 * files. Resolves when another thread has gone on with them, and the group sends again what it had not finished.
 * @throws TidemarkError TIDEMARK_UNKNOWN_COMPONENT, TIDEMARK_CLOSED, TIDEMARK_SUSPENDED
 */
export async function failSecondaryComponent(group: BackupGroup, index: number): Promise<void> {
  await failingOf(group).failSecondary(index)
}

/** Ends the thread of the spool. Resolves when another thread has gone on with its files. @throws like failSecondaryComponent */
export async function failSpool(group: BackupGroup): Promise<void> {
  await failingOf(group).failSpool()
}

export interface Stall extends Disposable {
  release(): void
}

/**
 * Lets the secondary of a group stand still, as a disk that does not answer does: its threads do nothing from now on, until
 * released, or for so many milliseconds. The group is to go on: sets wait in memory, then in the spool, then sources are paced.
 */
export function stallSecondary(group: BackupGroup, ms?: number): Stall {
  const failing = failingOf(group)
  if (ms !== undefined && !(Number.isFinite(ms) && ms >= 0 && ms < 2 ** 31)) {
    throw new TidemarkError('TIDEMARK_OPTIONS', `ms must be milliseconds, not ${String(ms)}`, { option: 'ms' })
  }
  let timer: NodeJS.Timeout | undefined
  const release = (): void => {
    clearTimeout(timer)
    failing.stallSecondary(false)
  }
  failing.stallSecondary(true)
  if (ms !== undefined) timer = setTimeout(release, ms)
  return { release, [Symbol.dispose]: release }
}

function failingOf(group: BackupGroup): Failing {
  const failing = Failing.of(group)
  if (failing !== undefined) return failing
  throw new TidemarkError('TIDEMARK_OPTIONS', 'this is not a group opened by openGroup', { option: 'group' })
}
