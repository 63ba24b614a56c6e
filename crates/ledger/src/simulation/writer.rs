//! Clients that move money, retry, and hold the ledger to its answers.

use std::{ops::ControlFlow, rc::Rc};

use lombard_engine::{Committed, Handle, SubmitError, decode_record};
use lombard_ledger_core::{
    Command, CreateTransfers, Event, NewNote, Outcome, Past as _, RecordedTransfer, Rejection,
    Reply, SetResult, TransferKind, TransfersReply,
};
use lombard_log::SharedLog;
use lombard_simulation::Dice;
use lombard_types::{Position, TransferId};

use super::{history::Known, think, world::World};
use crate::{codec::EventCodec, machine::LedgerMachine};

pub(super) struct Writer {
    pub(super) actor: u64,
    pub(super) world: Rc<World>,
    pub(super) handle: Handle<LedgerMachine>,
    pub(super) log: SharedLog,
    pub(super) dice: Dice,
}

type Submitted = Result<Committed<Reply>, SubmitError<Rejection>>;

impl Writer {
    /// Moves money until the life ends. First what was not answered in the life before.
    pub(super) async fn run(mut self, number: usize) {
        if self.open_accounts().await.is_break() {
            return;
        }
        let last = self.world.asked.borrow()[number].last().copied();
        let mut unanswered = last.filter(|id| self.known(*id) == Known::Absent);
        while !self.world.nature.is_ending.get() {
            tokio::time::sleep(self.dice.pause(6)).await;
            let mut ids = Vec::new();
            for _ in 0..[1, 1, 1, 2, 3][self.dice.roll(5) as usize] {
                let mine = self.world.asked.borrow()[number].clone();
                let id = match unanswered.take() {
                    Some(id) => id,
                    None if !mine.is_empty() && self.dice.is_one_in(6) => {
                        *self.dice.pick(&mine).unwrap()
                    }
                    None => self.think_of_a_set(number),
                };
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            if self.ask(&ids).await.is_break() {
                break;
            }
        }
    }

    fn known(&self, id: TransferId) -> Known {
        self.world.history.borrow().ask(id).known
    }

    async fn open_accounts(&mut self) -> ControlFlow<()> {
        let mut number = 1;
        while number <= think::ACCOUNTS {
            tokio::time::sleep(self.dice.pause(3)).await;
            match self.handle.submit(think::open_command(number)).await {
                Ok(Committed { position, .. }) => {
                    assert!(position < self.durable(), "acknowledged before it was durable");
                    self.world.history.borrow_mut().was_opened(think::account(number));
                    number += 1;
                }
                Err(SubmitError::Overloaded | SubmitError::Expired | SubmitError::DiskFull) => {}
                Err(SubmitError::Stopped | SubmitError::OutcomeUnknown) => {
                    return ControlFlow::Break(());
                }
                Err(other) => panic!("account {number}: {other}"),
            }
        }
        ControlFlow::Continue(())
    }

    fn think_of_a_set(&mut self, number: usize) -> TransferId {
        let mut history = self.world.history.borrow_mut();
        let (id, others) = (history.next_id(), history.ids());
        // Mostly what is new.
        let others = &others[others.len().saturating_sub(25)..];
        let (transfers, note) = think::set(id, others, &mut self.dice);
        history.add(id, transfers, note);
        self.world.asked.borrow_mut()[number].push(id);
        id
    }

    fn durable(&self) -> Position {
        *self.log.durable().borrow()
    }

    /// Asks for sets with one command, and compares the answers with everything known. Breaks off when the ledger has
    /// stopped.
    async fn ask(&mut self, ids: &[TransferId]) -> ControlFlow<()> {
        let Some(command) = self.command(ids).await else { return ControlFlow::Break(()) };
        let before: Vec<Known> = ids.iter().map(|id| self.known(*id)).collect();
        for (id, _) in ids.iter().zip(&before).filter(|(_, known)| **known == Known::Absent) {
            self.world.history.borrow_mut().set(*id, Known::Unknown);
        }
        let submitted = self.handle.submit(Command::CreateTransfers(command)).await;
        self.world.nature.note(self.actor, &format!("{ids:?} {submitted:?}"));
        let results = match self.results(submitted) {
            Answered::Results(results, position) => {
                for ((id, before), result) in ids.iter().zip(before).zip(results) {
                    let known = self.judge(*id, before, result, position);
                    self.world.history.borrow_mut().set(*id, known);
                }
                return ControlFlow::Continue(());
            }
            other => other,
        };
        match results {
            Answered::Undecided => {
                for (id, before) in ids.iter().zip(before) {
                    self.world.history.borrow_mut().set(*id, before);
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }

    /// With what a reversal is about, looked up. `None`: it cannot be any more.
    async fn command(&self, ids: &[TransferId]) -> Option<CreateTransfers> {
        let (mut transfers, mut notes) = (Vec::new(), Vec::new());
        for (number, id) in (0u32..).zip(ids) {
            let ask = self.world.history.borrow().ask(*id).clone();
            let mut note = ask.note;
            if let TransferKind::Reversal { of } = ask.transfers[0].kind {
                note.reversed = self.recorded(of).await?.into();
            }
            transfers.extend(ask.transfers);
            if note != NewNote::default() {
                notes.push((number, note));
            }
        }
        Some(CreateTransfers { transfers, notes, evidence: think::evidence() })
    }

    /// How a set was recorded; nothing where it is not.
    async fn recorded(&self, id: TransferId) -> Option<Vec<RecordedTransfer>> {
        let (spent, _) = self.handle.query(move |machine| machine.past().spent(id)).await.ok()?;
        let spent = match spent {
            Ok(spent) => spent,
            Err(cause) => {
                self.world.nature.hear_complaint(&cause);
                return None;
            }
        };
        let Some(spent) = spent else { return Some(Vec::new()) };
        // The disk may have died meanwhile.
        let records = self.log.read(spent.position, 1).await.ok()?;
        let mut found = None;
        decode_record(&EventCodec, records.first()?, |event, _| {
            if let Event::Transfers(transfers) = event {
                found = transfers.set(id).map(|set| set.recorded.to_vec());
            }
        })
        .unwrap();
        Some(found.unwrap_or_else(|| panic!("{id} is not in {}", spent.position)))
    }

    fn results(&self, submitted: Submitted) -> Answered {
        match submitted {
            Ok(Committed { position, reply, .. }) => {
                assert!(position < self.durable(), "acknowledged before it was durable");
                let Reply::Transfers(TransfersReply { results, .. }) = reply else {
                    panic!("another reply")
                };
                Answered::Results(results, position)
            }
            Err(SubmitError::Rejected { rejection: Rejection::Unreadable(cause), .. }) => {
                self.world.nature.hear_complaint(&cause);
                Answered::Stopped
            }
            // Certain: this try has had no effect.
            Err(SubmitError::Overloaded | SubmitError::Expired) => Answered::Undecided,
            Err(SubmitError::DiskFull) => {
                assert!(self.world.nature.was_full.get(), "the disk was never full");
                Answered::Undecided
            }
            Err(SubmitError::Stopped | SubmitError::OutcomeUnknown) => Answered::Stopped,
            Err(other) => panic!("{other}"),
        }
    }

    fn judge(&self, id: TransferId, before: Known, result: SetResult, position: Position) -> Known {
        let present = |outcome| Known::Present { record: position, outcome };
        match result {
            SetResult::Created { .. } => present(Outcome::Created),
            SetResult::Refused { refusal, .. } => present(Outcome::Refused(refusal)),
            // Only what has no effect is rejected: the same again is a retry.
            SetResult::Rejected { rejection, .. } => {
                assert_eq!(before, Known::Absent, "{id} was rejected: {rejection}");
                Known::Absent
            }
            SetResult::Spent(spent) => {
                let Known::Present { record, .. } = before else {
                    panic!("{id} is said to be spent, and was {before:?}")
                };
                assert_eq!(spent.position, record, "{id}");
                before
            }
            SetResult::Again { .. } => panic!("{id} was not asked for twice"),
        }
    }
}

enum Answered {
    Results(Vec<SetResult>, Position),
    /// This try had no effect; an earlier one may have.
    Undecided,
    /// It may have an effect, and the ledger has stopped.
    Stopped,
}
