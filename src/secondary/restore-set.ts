import type { RestoreOptions, SetReport } from '../types.ts'
import { type Layout, readExistingFormat } from './format.ts'
import type { KeptSet } from './kept-sets.ts'
import { Restore } from './restore.ts'
import { restoreLast } from './restore-last.ts'
import { RestoreTarget } from './restore-target.ts'
import { readState } from './state.ts'

/** Restores a set into a directory that is new or empty; whatever goes wrong, nothing is left there. */
export async function restoreSet(layout: Layout, to: string, options: RestoreOptions): Promise<SetReport> {
  options.signal?.throwIfAborted()
  readExistingFormat(layout)
  if (readState(layout.state).history === null)
    return intoTarget(to, options, (target) => restoreLast(layout, target, options))
  const restore = new Restore(layout, options)
  try {
    return await intoTarget(to, options, async (target) => {
      await restore.copy(target)
      await restore.undo()
      return restore.found
    })
  } finally {
    restore.close()
  }
}

async function intoTarget(
  to: string,
  options: RestoreOptions,
  fill: (target: RestoreTarget) => Promise<KeptSet>
): Promise<SetReport> {
  const target = new RestoreTarget(to)
  try {
    const { set, time, updates, bytes, label } = await fill(target)
    options.signal?.throwIfAborted()
    await target.finish()
    return { set, ...(label !== undefined && { label }), state: 'applied', consistencyTime: time, updates, bytes }
  } catch (cause) {
    target.discard()
    throw cause
  }
}
