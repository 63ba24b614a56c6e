//! Consumer groups.

use lombard_chassis::{ProblemType, problems};

use super::{Content, JSON, Operation, Parameter};
use crate::problem;

const CONSUME: &str = "events:consume:GROUP";
const MANAGE: &str = "events:manage:GROUP";
/// What writing may answer.
const WRITE: &[ProblemType] =
    &[problem::GROUP_NOT_FOUND, problems::DISK_FULL, problems::OUTCOME_UNKNOWN];
const LIMIT: Parameter = ("limit", "Items of the page, at most");

const fn post(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    body: &'static [Content],
    answer: &'static str,
    content: &'static [Content],
) -> Operation {
    Operation {
        method: "post",
        path,
        id,
        summary,
        scope: CONSUME,
        query: &[],
        headers: &[],
        body,
        status: 200,
        answer,
        content,
        problems: WRITE,
    }
}

const fn get(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    query: &'static [Parameter],
    content: &'static [Content],
) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        summary,
        scope: CONSUME,
        query,
        headers: &[],
        body: &[],
        status: 200,
        answer: summary,
        content,
        problems: &[problem::GROUP_NOT_FOUND],
    }
}

const RESULTS: &[Content] = &[(JSON, "Results")];
const ONE_EACH: &str = "What became of each receipt, in their order";

pub(super) const ALL: &[Operation] = &[
    Operation {
        scope: "events:consume or events:manage for each group",
        problems: &[],
        ..get(
            "/groups",
            "listGroups",
            "The consumer groups that the caller may see",
            &[("after", "Groups after this one"), LIMIT],
            &[(JSON, "GroupPage")],
        )
    },
    Operation {
        scope: "events:consume:GROUP or events:manage:GROUP",
        ..get(
            "/groups/{group}",
            "getGroup",
            "A group's settings and state",
            &[],
            &[(JSON, "Group")],
        )
    },
    Operation {
        method: "put",
        path: "/groups/{group}",
        id: "createGroup",
        summary: "Makes a group, whose settings are fixed from then on",
        scope: "events:manage:GROUP, and events:read for what it selects",
        query: &[],
        headers: &[],
        body: &[(JSON, "GroupSettings")],
        status: 201,
        answer: "Made; 200 where it is there with the same settings",
        content: &[(JSON, "Group")],
        problems: &[
            problem::GROUP_EXISTS,
            problem::TOO_MANY_GROUPS,
            problems::DISK_FULL,
            problems::OUTCOME_UNKNOWN,
        ],
    },
    Operation {
        method: "delete",
        path: "/groups/{group}",
        id: "deleteGroup",
        summary: "Forgets a group with its cursor and dead letters",
        scope: MANAGE,
        query: &[],
        headers: &[],
        body: &[],
        status: 204,
        answer: "Forgotten",
        content: &[],
        problems: WRITE,
    },
    Operation {
        problems: &[
            problem::GROUP_NOT_FOUND,
            problem::TOO_MANY_CONSUMERS,
            problem::SUBJECT_KEYS_FAILED,
            problems::DISK_FULL,
            problems::OUTCOME_UNKNOWN,
        ],
        ..post(
            "/groups/{group}/deliveries",
            "pull",
            "The next events for a consumer; waits for the first",
            &[(JSON, "Pull")],
            "The deliveries; none when the wait was over",
            &[(JSON, "Deliveries")],
        )
    },
    Operation {
        problems: &[
            problem::GROUP_NOT_FOUND,
            problem::TOO_MANY_CONSUMERS,
            problem::SUBJECT_KEYS_FAILED,
            problems::METHOD_NOT_ALLOWED,
            problems::DISK_FULL,
            problems::OUTCOME_UNKNOWN,
        ],
        ..get(
            "/groups/{group}/deliveries",
            "push",
            "The same, pushed, with Accept: text/event-stream",
            &[
                ("consumer", "Who takes them; the client where it is not said"),
                ("credits", "So many may be unacknowledged"),
                ("visibility_ms", "How long the consumer may take"),
            ],
            &[("text/event-stream", "Delivery")],
        )
    },
    post(
        "/groups/{group}/acks",
        "ack",
        "These were processed",
        &[(JSON, "Receipts")],
        ONE_EACH,
        RESULTS,
    ),
    post(
        "/groups/{group}/nacks",
        "nack",
        "These were not processed",
        &[(JSON, "Nack")],
        ONE_EACH,
        RESULTS,
    ),
    post(
        "/groups/{group}/extensions",
        "extend",
        "These need more time",
        &[(JSON, "Extension")],
        ONE_EACH,
        RESULTS,
    ),
    get(
        "/groups/{group}/dead-letters",
        "listDeadLetters",
        "The events that were given up",
        &[("after", "Those after this position"), LIMIT],
        &[(JSON, "DeadLetterPage")],
    ),
    post(
        "/groups/{group}/dead-letters/replay",
        "replayDeadLetters",
        "Delivers dead letters again",
        &[(JSON, "Which")],
        "How many",
        &[(JSON, "Moved")],
    ),
    post(
        "/groups/{group}/dead-letters/discard",
        "discardDeadLetters",
        "Settles dead letters as they are",
        &[(JSON, "Which")],
        "How many",
        &[(JSON, "Moved")],
    ),
];
