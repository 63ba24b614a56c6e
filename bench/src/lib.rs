//! Measures what Lombard claims about its speed: one program in `src/bin` a claim, which names its workload, runs it, and
//! prints what came out beside what is claimed.
//!
//! Machines differ, and one machine differs from itself within seconds. So contenders take turns in short rounds, what is
//! printed is the median of the rounds with the smallest and the largest, and what is claimed of a peer is a ratio within
//! the rounds. CPU time per operation hardly depends on who else is at work; trust it first.
//!
//! Start reading at [`Rounds`].

mod appender;
mod book;
pub mod check;
mod closed_loop;
mod cpu;
mod etcd;
mod events;
mod fan_out;
mod fdatasync;
mod http;
mod machine;
mod options;
mod payments;
mod postgres;
mod rounds;
mod sample;
mod server;
mod store;

/// The program's allocator, for servers and for what is measured in process.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub use appender::Appender;
pub use book::{Book, Payer};
pub use closed_loop::{ClosedLoop, Worker};
pub use cpu::Cpu;
pub use etcd::{Etcd, EtcdClient};
pub use events::{EVENT_BYTES, content, data, event_id, evidence};
pub use fan_out::FanOut;
pub use fdatasync::fdatasync;
pub use http::HttpConnection;
pub use machine::Machine;
pub use options::Options;
pub use payments::{Payment, Payments, Spread};
pub use postgres::Postgres;
pub use rounds::{Outcome, Rounds};
pub use sample::{Latencies, Sample, latencies};
pub use server::{Server, leave_core_to_servers, serve_if_asked};
pub use store::{Store, append};
