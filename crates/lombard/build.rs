//! Builds the pages of `docs/errors` into the program.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = fs::canonicalize(Path::new("../../docs/errors"))?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut pages: Vec<PathBuf> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    let mut code = String::from(
        "/// The last part of an error's type, and its page.\nconst ERROR_PAGES: &[(&str, &str)] = &[\n",
    );
    for path in pages {
        let slug =
            path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        writeln!(code, "    ({slug:?}, include_str!({path:?})),")?;
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("error_pages.rs"), code)?;
    Ok(())
}
