import {
  FIRST_VIEW,
  PHASE_REBUILD,
  PHASE_RESTORE,
  PHASE_RUN,
  PHASE_STOP,
  STAT_MOVED_BYTES,
  STAT_MOVED_UPDATES
} from '../memory/board.ts'
import { CHUNK_FREE } from '../memory/chunk-table.ts'
import type { SourceMemory } from '../memory/source-memory.ts'
import { BackupComponent, type ComponentParts, PARTS } from './component.ts'
import { type FinalPositions, settleMoved } from './rebuild.ts'
import type { Restore } from './restore.ts'
import { type Place, settingOf } from './setting.ts'
import { SourceIntake } from './source-intake.ts'

export interface AttachedMemory {
  readonly id: number
  readonly memory: SourceMemory
}

/** What a member is told before it rebuilds: acknowledged positions, final for this change, and the sources that are its own. */
export interface ViewFacts {
  readonly final: FinalPositions
  readonly sources: readonly AttachedMemory[]
}

/**
 * A backup component through changes of view: failure, join, leave, moved sources. Everyone stops; acknowledged positions are
 * final then; each keeps exactly what was acknowledged and begins anew on restarted links; what lacks copies, or has a new
 * responsible component, is sent to where it belongs; then the view stands and taking goes on (figures 5, 6A, 6B;
 * [0053]-[0057]).
 */
export class ViewMember {
  /** None until a view has begun in which it is a member. */
  component: BackupComponent | undefined
  private readonly place: Place
  private readonly parts: ComponentParts
  private readonly beforeRebuild: () => void
  private readonly sources = new Map<number, AttachedMemory>()
  private final: FinalPositions = new Map()
  private seen: number
  /** What this view moves; it counts from the moment at which the view stands. */
  private restore: Restore | undefined
  private restoredView = -1
  /** Decided in the one walk through all that is held (each header is far from the next one), as of that secured set. */
  private planned: { readonly restore: Restore; readonly secured: number } | undefined
  private restored = false
  /** Of the view for which it has rebuilt. */
  private members: readonly number[] = []

  /**
   * @param firstSet  of a founder of the group: low bits of its first set. Others wait for a view that has them.
   * @param beforeRebuild  the last moment to `prepare`
   */
  constructor(place: Place, parts: Partial<ComponentParts>, firstSet?: number, beforeRebuild: () => void = () => {}) {
    this.place = place
    this.beforeRebuild = beforeRebuild
    this.parts = { ...PARTS, ...parts }
    // Founders belong to the first view, also when it is changing before all of them have come: then they are awaited in it.
    this.seen = firstSet === undefined ? -1 : FIRST_VIEW
    if (firstSet !== undefined) this.component = new BackupComponent(settingOf(place, firstSet), parts)
  }

  /** Before the phase `rebuild` of each view. */
  prepare(facts: ViewFacts): void {
    this.final = facts.final
    this.sources.clear()
    for (const source of facts.sources) this.sources.set(source.id, source)
  }

  attach(source: AttachedMemory): void {
    if (this.sources.has(source.id)) return
    this.sources.set(source.id, source)
    const { id, memory } = source
    this.component?.attach(new SourceIntake(id, memory, this.place.mirrors, memory.loadReleased()))
  }

  /** Bytes that its component has asked for are there. */
  fetched(view: number, id: number, bytes: Uint8Array): void {
    this.component?.refetch.found(view, id, bytes)
  }

  /** Lets go of a source of which nothing is under way. */
  detach(intake: SourceIntake): void {
    this.component?.detach(intake)
    this.sources.delete(intake.id)
  }

  step(): number {
    const word = this.place.board.loadView()
    if (word !== this.seen) {
      this.enter(word)
      return 1
    }
    const phase = word & 3
    if (this.component === undefined) return 0
    if (phase === PHASE_RUN) return this.component.step()
    if (phase === PHASE_STOP) return 0
    return this.restoreStep(word >> 2, this.component)
  }

  private enter(word: number): void {
    this.seen = word
    switch (word & 3) {
      case PHASE_STOP:
        this.say(word)
        break
      case PHASE_REBUILD:
        this.rebuild()
        this.sayDone(word)
        break
      case PHASE_RESTORE:
        // It has begun as soon as all had rebuilt.
        break
      default:
        this.keepMoved()
    }
  }

  private say(word: number): void {
    const { board, slot, surroundings } = this.place
    board.storeViewDone(slot, word)
    surroundings.ring()
  }

  /**
   * The same where all go on by themselves when the last of them is done: it wakes the others, and tells the control thread
   * when all is restored; nobody waits for a turn of that thread in between.
   */
  private sayDone(word: number): void {
    const { board, slot, surroundings } = this.place
    board.storeViewDone(slot, word)
    if (!this.areAllDone(word)) return
    if ((word & 3) === PHASE_RESTORE) surroundings.ring()
    else for (const peer of this.members) board.parking[peer]?.wake()
  }

  /**
   * Who has not begun anew has the links of the view before: what is sent there would be lost, or come to who is not there.
   * Overridden in a broken variant of the simulator only.
   */
  protected haveAllRebuilt(view: number): boolean {
    return this.areAllDone(view * 4 + PHASE_REBUILD)
  }

  private areAllDone(word: number): boolean {
    const { members, place } = this
    for (let n = 0; n < members.length; n++) if (!place.board.isViewDone(members[n] as number, word)) return false
    return true
  }

  private beginRestore(view: number, component: BackupComponent): void {
    const { place } = this
    const secured = place.board.loadSecured()
    this.restored = false
    this.restoredView = view
    if (this.planned?.secured === secured) this.restore = this.planned.restore
    else {
      this.restore = new this.parts.restore(settingOf(place, (secured + 1) | 0))
      this.restore.lookAtAll(secured)
    }
    this.planned = undefined
    this.restore.begin(component.outs)
  }

  private restoreStep(view: number, component: BackupComponent): number {
    if (this.restoredView !== view) {
      if (!this.haveAllRebuilt(view)) return 0
      this.beginRestore(view, component)
    }
    const restore = this.restore as Restore
    const work = component.restoreStep(restore)
    if (this.restored || !restore.isDone) return work
    this.restored = true
    const statistics = this.place.board.statistics[this.place.slot] as Float64Array
    statistics[STAT_MOVED_UPDATES] = restore.movedUpdates
    statistics[STAT_MOVED_BYTES] = restore.movedBytes
    this.sayDone(view * 4 + PHASE_RESTORE)
    return work + 1
  }

  /** The view stands. */
  private keepMoved(): void {
    this.restore?.keep()
    this.restore = undefined
    this.component?.keepMoved()
  }

  /** Begins anew on what was acknowledged. Nobody sends yet: the links can be restarted. */
  private rebuild(): void {
    const { board, slot, chunks, outgoing, incoming } = this.place
    this.beforeRebuild()
    const before = this.component?.intakes ?? []
    this.component = undefined
    // The view before may have stood without our having seen that: another one began at once.
    const stood = this.restore === undefined || board.loadStood() >= this.restoredView
    if (stood) this.restore?.keep()
    settleMoved(chunks, stood)
    this.restore = undefined
    this.members = board.loadMembers()
    if (!board.isMember(slot)) return
    // Whoever was not in a view that stood begins empty, also when what it was given before was nearly all.
    if (board.loadFresh().includes(slot)) this.forgetAll()
    const secured = board.loadSecured()
    const setting = settingOf(this.place, (secured + 1) | 0)
    for (const peer of setting.members) {
      if (peer === slot) continue
      outgoing[peer]?.restartSender()
      incoming[peer]?.restartHolder()
    }
    const restore = new this.parts.restore(setting)
    this.component = new BackupComponent(setting, this.parts, (held) => {
      held.gather()
      this.parts.cutBack(setting, held, secured, this.final, restore)
    })
    this.planned = { restore, secured }
    board.storeQuiet(slot, secured)
    board.storeManifested(slot, secured)
    board.storeDiscarded(slot, secured)
    board.storePressure(slot, 0)
    board.storeNoRoom(slot, 0)
    this.attachAll(this.component, before)
  }

  private attachAll(component: BackupComponent, before: readonly SourceIntake[]): void {
    const forming = this.place.board.loadForming()
    for (const { id, memory } of this.sources.values()) {
      // One that was opened meanwhile has nothing under way.
      const acknowledged = this.final.get(id) ?? memory.loadReleased()
      const earlier = before.find((intake) => intake.id === id)
      component.attach(this.parts.resume(id, memory, this.place.mirrors, acknowledged, forming, earlier))
    }
  }

  private forgetAll(): void {
    const { chunks, surroundings } = this.place
    surroundings.beginsEmpty?.()
    for (let chunk = 0; chunk < chunks.chunks; chunk++) chunks.storeState(chunk, CHUNK_FREE)
  }
}
