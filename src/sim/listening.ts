import type { Arena } from '../memory/arena.ts'
import type { BoardLayout } from '../memory/board.ts'
import { PARTS } from '../protocol/component.ts'
import type { AddressList, HeldUpdates } from '../protocol/held.ts'
import { Overwritten } from '../protocol/overwritten.ts'
import { type cutBack, forEachHeld } from '../protocol/rebuild.ts'
import { arenaOf, type Setting } from '../protocol/setting.ts'
import { Transfer } from '../protocol/transfer.ts'
import { ViewChanges } from '../protocol/view-changes.ts'
import { type Interleaving, SimBoard } from './instrumented.ts'
import { nameAt } from './names.ts'
import type { Story } from './story.ts'

// Where a story listens. Each stands in for what it listens to, and only where a story is told.

export class ToldBoard extends SimBoard {
  private readonly story: Story

  constructor(layout: BoardLayout, interleaving: Interleaving, story: Story) {
    super(layout, interleaving)
    this.story = story
  }

  override storeForming(set: number): void {
    this.story.forming(set)
    super.storeForming(set)
  }
  override storeQuiet(slot: number, set: number): void {
    this.story.said(slot, `is quiet in set ${set}, all that it took into it is acknowledged`)
    super.storeQuiet(slot, set)
  }
  override storeSealed(set: number): void {
    this.story.line(`control: set ${set} is sealed, all are quiet in it`)
    super.storeSealed(set)
  }
  override storeManifested(slot: number, set: number): void {
    this.story.said(slot, `hands in its manifest of set ${set}`)
    super.storeManifested(slot, set)
  }
  override storeTransfer(set: number): void {
    this.story.line(`control: set ${set} is transferred`)
    super.storeTransfer(set)
  }
  override storeCommit(set: number): void {
    this.story.line(`control: all parts of set ${set} are journaled`)
    super.storeCommit(set)
  }
  override storeCommitted(set: number): void {
    this.story.line(`secondary 0: commits set ${set}`)
    super.storeCommitted(set)
  }
  override storeDiscarded(slot: number, set: number): void {
    this.story.said(slot, `discards what it holds of set ${set}`)
    super.storeDiscarded(slot, set)
  }
  override storeView(word: number): void {
    this.story.phaseBegins(word & 3)
    super.storeView(word)
  }
  override storeViewDone(slot: number, word: number): void {
    this.story.phaseDone(slot, word & 3)
    super.storeViewDone(slot, word)
  }
}

const BEGUN_AGAIN = 'a secondary component has been started again'

/** Says why a view begins. */
export function toldViews(story: Story, base: typeof ViewChanges = ViewChanges): typeof ViewChanges {
  return class extends base {
    private reason = BEGUN_AGAIN

    override failed(slot: number, replaced: boolean): void {
      const then = replaced ? 'a spare takes its slot' : 'the others take over'
      this.reason = this.isLeaving(slot) ? `component ${slot} is gone` : `component ${slot} is out, ${then}`
      super.failed(slot, replaced)
      // The view has begun when its end was seen.
      if (this.reason !== BEGUN_AGAIN) story.line(`control: ${this.reason}`)
      this.reason = BEGUN_AGAIN
    }
    override ends(slot: number): void {
      this.reason = `component ${slot} comes to its end, and is out in a moment`
      super.ends(slot)
      this.reason = BEGUN_AGAIN
    }
    override join(slot: number): void {
      this.reason = `component ${slot} joins`
      super.join(slot)
    }
    override leave(slot: number): void {
      this.reason = `component ${slot} is to leave`
      super.leave(slot)
    }
    override begin(): void {
      story.viewBegins(this.reason)
      this.reason = BEGUN_AGAIN
      super.begin()
    }
  }
}

/** Says what is not sent. */
export function toldTransfer(story: Story, slot: number, base: typeof Transfer = Transfer): typeof Transfer {
  class ToldOverwritten extends Overwritten {
    private list: AddressList | undefined

    override begin(list: AddressList): void {
      this.list = list
      super.begin(list)
    }
    protected override leaveOut(index: number): void {
      if (this.list !== undefined) story.leftOut(slot, nameAt(this.arena, this.held.whole(this.list.at(index))))
      super.leaveOut(index)
    }
  }
  return class extends base {
    protected override makeOverwritten(arena: Arena, held: HeldUpdates): Overwritten {
      return new ToldOverwritten(arena, held)
    }
  }
}

export function toldCutBack(story: Story, base: typeof cutBack = PARTS.cutBack): typeof cutBack {
  return (setting, held, secured, final, remaining) => {
    const before = namesHeld(setting, secured)
    base(setting, held, secured, final, remaining)
    const kept = namesHeld(setting, secured)
    const dropped = before.filter((name) => !kept.includes(name))
    story.rebuilt(setting.slot, kept, dropped)
  }
}

function namesHeld(setting: Setting, secured: number): string[] {
  const names: string[] = []
  forEachHeld(setting, secured, (address) => names.push(nameAt(arenaOf(setting, setting.slot), address)))
  return names.sort()
}
