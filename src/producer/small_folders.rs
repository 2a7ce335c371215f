//! Tests on small written folders: what the real files at hand do not have.

use super::{
    Folder,
    bank::Bank,
    city::City,
    dated::{Step, day_text},
    fold::Fold,
    oracle::Judge,
};
use crate::domain::command::Command;
use std::path::PathBuf;

struct Written(PathBuf);

impl Written {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("written-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (file, text) in files {
            std::fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Ticks by day, commands by message id and what they move.
fn told(folder: &Folder) -> Vec<String> {
    let told = folder.play().map(|step| match step {
        Step::Tick(time) => day_text(time),
        Step::Command(command) => {
            let amount_minor = match &command.body {
                Command::Credit(credit) => credit.amount_minor,
                Command::Debit(debit) => -debit.amount_minor,
                Command::Advise(told) => -told.amount_minor,
                Command::Authorise(ask) => ask.amount_minor,
                Command::Present(told) => -told.amount_minor,
                Command::Refund(told) => told.amount_minor,
                _ => 0,
            };
            format!("{} {amount_minor}", command.message_id)
        }
    });
    told.collect()
}

/// Goal: an account older than the data brings its balance along, a card payment is advised, a
/// day without an order is listed and carried on from, a row that moves nothing is no command.
/// Method: two accounts of 1994; the plan word by word, then the oracle over a fold.
#[test]
fn bank_of_another_year() {
    let written = Written::new(
        "bank",
        &[
            (
                "account.asc",
                "\"account_id\";\"district_id\";\"frequency\";\"date\"\n\
                 1;1;\"M\";930101\n2;1;\"M\";940102\n3;1;\"M\";950101\n",
            ),
            (
                "disp.asc",
                "\"disp_id\";\"client_id\";\"account_id\";\"type\"\n\
                 1;11;1;\"OWNER\"\n2;12;1;\"DISPONENT\"\n3;13;2;\"OWNER\"\n4;14;3;\"OWNER\"\n",
            ),
            (
                "card.asc",
                "\"card_id\";\"disp_id\";\"type\";\"issued\"\n5;2;\"junior\";931105 00:00:00\n\
                 6;3;\"gold\";940103 00:00:00\n7;1;\"gold\";950101 00:00:00\n",
            ),
            (
                "trans-1994.asc",
                "\"trans_id\";\"account_id\";\"date\";\"type\";\"operation\";\"amount\";\
                 \"balance\";\"k_symbol\";\"bank\";\"account\"\n\
                 100;1;940101;\"VYBER\";\"VYBER KARTOU\";50.00;950.00;;;\n\
                 101;2;940102;\"PRIJEM\";\"VKLAD\";100.00;100.00;\"\";;\n\
                 102;2;940103;\"VYDAJ\";\"VYBER\";30.00;500.00;\"\";;\n\
                 103;2;940104;\"PRIJEM\";\"\";0.00;500.00;\"UROK\";;\n",
            ),
        ],
    );
    let folder = Folder::read(&written.0).unwrap();
    assert_eq!(
        told(&folder),
        [
            "1994-01-01",
            "bank-open-1 0",
            "bank-holder-1 0",
            "bank-holder-2 0",
            "bank-card-5 0",
            "bank-opening-1 100000",
            "bank-100 -5000",
            "1994-01-02",
            "bank-open-2 0",
            "bank-holder-3 0",
            "bank-101 10000",
            "1994-01-03",
            "bank-card-6 0",
            "bank-102 -3000",
            "1994-01-04",
            "1994-01-05",
        ]
    );
    let advised = folder.play().find_map(|step| match step {
        Step::Command(command) => match command.body {
            Command::Advise(told) => Some(told),
            _ => None,
        },
        Step::Tick(_) => None,
    });
    let advised = advised.expect("the card payment");
    assert!(advised.single_message && advised.approved);
    assert_eq!(advised.purchase.card_token.as_str(), "tok_bank_5");

    let bank = Bank::read(&written.0).unwrap();
    let judged: Vec<_> = bank.days().all.iter().map(|day| day.judged).collect();
    assert_eq!(judged, [true, true, false, true]);
    let (mut fold, mut oracle) = (Fold::default(), bank.oracle());
    for event in bank.play().filter_map(|step| fold.step(step)) {
        oracle.observe(&event);
    }
    let lines = oracle.verdict();
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
    let listed = lines.iter().find(|line| line.name == "not judged").expect("the third day");
    assert_eq!(listed.found, "bank-2 1994-01-03");
}

/// Goal: purchases of nothing are verified and not presented, yen have no cents, a category may be
/// missing, a payment posted before it was bought is presented first. Method: one row each, and a
/// repeat posted on an earlier day in a later file, which then is the first delivery.
#[test]
fn odd_rows_of_a_city() {
    let header = "Division,Id,Date,Posted,Merchant,Amount,Cur,Original,Cur,GL,Centre,MCC,Text\n";
    let rows = "FIRE & WATER,1-1,2016-02-01,2016-02-02,A,0.00,CAD,0.00,CAD,1,X1,5999,t\n\
                FIRE & WATER,1-2,2016-02-01,2016-02-02,B,12.50,CAD,1000.00,JPY,1,,,t\n\
                FIRE & WATER,1-3,2016-02-03,2016-02-02,C,5.00,CAD,5.00,CAD,1,X1,5999,t\n";
    let later = "FIRE & WATER,1-2,2016-02-01,2016-02-01,B,12.50,CAD,1000.00,JPY,1,,,t\n";
    let written = Written::new(
        "city",
        &[
            ("pcard-2016-02.csv", &format!("{header}{rows}")),
            ("pcard-2016-03.csv", &format!("{header}{later}")),
        ],
    );
    let folder = Folder::read(&written.0).unwrap();
    assert_eq!(
        told(&folder),
        [
            "2016-02-01",
            "city-open-fire---water 0",
            "city-holder-fire---water 0",
            "city-card-fire---water_X1 0",
            "city-card-fire---water_none 0",
            "city-auth-1-1 0",
            "city-auth-1-2 1250",
            "city-present-1-2 -1250",
            "2016-02-02",
            "city-present-1-2 -1250",
            "city-present-1-3 -500",
            "2016-02-03",
            "city-auth-1-3 500",
            "2016-02-04",
        ]
    );
    let city = City::read(&written.0).unwrap();
    let yen = &city.payments[1].purchase;
    assert_eq!((yen.original_minor, yen.merchant_category), (1_000, None));
    let (mut fold, mut oracle) = (Fold::default(), city.oracle());
    for event in city.play().filter_map(|step| fold.step(step)) {
        oracle.observe(&event);
    }
    let lines = oracle.verdict();
    assert!(lines.iter().all(|line| line.ok), "{lines:?}");
}
