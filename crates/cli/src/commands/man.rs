//! `hinet man`: manual pages from the same text as `--help`.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Arguments, ManArguments};
use crate::output::{Talk, print};

pub(crate) fn run(arguments: &ManArguments, talk: Talk) -> anyhow::Result<()> {
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        Man::new(Arguments::command()).render(&mut page)?;
        return print(&String::from_utf8_lossy(&page));
    };
    fs_err::create_dir_all(folder)?;
    clap_mangen::generate_to(Arguments::command(), folder)?;
    talk.say(format_args!(
        "manual pages in {}; read one with `man -l {}`",
        folder.display(),
        folder.join("hinet.1").display()
    ));
    Ok(())
}
