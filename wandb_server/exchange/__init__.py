"""A project as a folder of Parquet tables and plain files, and back.

`index.json` is written last: a folder without it is no whole export. Tables lie beside it,
files of runs in `files/<run>/`, versions in `artifacts/<collection>/v<number>/`.
"""
