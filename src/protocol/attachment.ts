import type { SourceMemory } from '../memory/source-memory.ts'

/** A source is attached to one component at a time, so that its updates keep their order; its memory says to which. */
export interface Attachable {
  readonly memory: SourceMemory
}

/**
 * While nobody takes: sources of slots that are not there any more go to the ones with the fewest; those that begin
 * empty in a slot of their own get their share of the others'. What can stay where it is stays.
 * @param newcomers  slots whose components begin empty
 */
export function attachSources(
  sources: readonly Attachable[],
  slots: readonly number[],
  newcomers: readonly number[]
): void {
  if (slots.length === 0) return
  const bySlot = new Map<number, Attachable[]>(slots.map((slot) => [slot, []]))
  const homeless: Attachable[] = []
  for (const source of sources) (bySlot.get(source.memory.loadAttached()) ?? homeless).push(source)
  const count = (slot: number): number => bySlot.get(slot)?.length ?? 0
  const fewest = (): number => slots.reduce((best, slot) => (count(slot) < count(best) ? slot : best))
  const most = (): number => slots.reduce((best, slot) => (count(slot) > count(best) ? slot : best))
  const move = (source: Attachable, slot: number): void => {
    source.memory.storeAttached(slot)
    bySlot.get(slot)?.push(source)
  }
  for (const source of homeless) move(source, fewest())
  for (const slot of newcomers) {
    while (bySlot.has(slot) && count(most()) > count(slot) + 1) {
      move((bySlot.get(most()) as Attachable[]).pop() as Attachable, slot)
    }
  }
}
