"""Makes songs.parquet: 4,000 invented songs with audio features and a genre.

The table has the columns, types and classes of the real set that dataset/songs.yaml describes,
with its missing values, duplicates, class imbalance and overlapping classes. Every number below
was typed by hand, every title and name is put together from the word lists here.

Run it with `python sample_data/make_songs.py [output file]`; the same versions of numpy and
pyarrow write the same bytes each time.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 2026
DUPLICATE_SHARE = 0.02
LOUDNESS_NULL_SHARE = 0.21
# Some names are missing in the wild, too: then a row has neither song_name nor title.
LABEL_NULL_SHARE = 0.004

Rng = np.random.Generator
Floats = np.ndarray[Any, np.dtype[np.float64]]
Columns = dict[str, list[Any]]


class Genre(NamedTuple):
    """How a genre sounds: (middle, spread) of its features.

    Speechiness, acousticness and liveness are log-normal, with the median and the spread of the
    logarithm; `instrumental` is the share of songs without a voice; duration is in seconds.
    `playlist` says whether rows carry a playlist's title instead of a song's name.
    """

    rows: int
    danceability: tuple[float, float]
    energy: tuple[float, float]
    loudness: tuple[float, float]
    speechiness: tuple[float, float]
    acousticness: tuple[float, float]
    instrumental: float
    liveness: tuple[float, float]
    valence: tuple[float, float]
    tempo: tuple[float, float]
    duration: tuple[float, float]
    major: float
    playlist: bool
    words: tuple[str, ...]


# fmt: off
GENRES = {
    "Underground Rap": Genre(
        550, (.74, .13), (.64, .15), (-7.3, 2.7), (.19, .80), (.09, 1.4), .04, (.14, .6),
        (.44, .22), (150, 26), (172, 50), .61, False, ("basement", "static", "concrete")),
    "Dark Trap": Genre(
        430, (.62, .16), (.65, .18), (-7.9, 3.0), (.08, .80), (.06, 1.6), .36, (.14, .6),
        (.26, .19), (146, 27), (184, 55), .54, False, ("grave", "midnight", "phantom")),
    "Hiphop": Genre(
        290, (.70, .14), (.66, .16), (-6.8, 2.6), (.19, .75), (.11, 1.3), .03, (.15, .6),
        (.53, .21), (160, 28), (226, 52), .53, False, ("crown", "corner", "hustle")),
    "trance": Genre(
        280, (.51, .10), (.90, .10), (-6.8, 2.1), (.056, .35), (.002, 1.8), .62, (.23, .7),
        (.21, .15), (136, 4), (265, 80), .56, True, ("trance", "uplifting", "sunrise")),
    "techhouse": Genre(
        280, (.79, .08), (.84, .12), (-7.0, 1.8), (.062, .40), (.003, 1.8), .72, (.10, .6),
        (.57, .22), (125, 2), (285, 75), .57, True, ("house", "groove", "terrace")),
    "dnb": Genre(
        280, (.52, .11), (.88, .10), (-4.1, 1.9), (.063, .55), (.004, 1.8), .58, (.15, .7),
        (.25, .18), (174, 1.5), (284, 50), .45, True, ("drum", "bass", "jungle")),
    "trap": Genre(
        280, (.59, .13), (.91, .10), (-2.9, 1.8), (.160, .70), (.007, 1.7), .30, (.22, .7),
        (.30, .17), (148, 6), (224, 42), .60, True, ("drop", "festival", "bass")),
    "techno": Genre(
        280, (.72, .09), (.80, .14), (-9.1, 2.2), (.057, .35), (.006, 2.0), .93, (.12, .4),
        (.20, .17), (129, 4), (392, 70), .58, True, ("techno", "warehouse", "dark")),
    "psytrance": Genre(
        280, (.62, .09), (.91, .09), (-6.6, 1.5), (.055, .35), (.001, 1.7), .92, (.22, .7),
        (.25, .17), (142, 4), (438, 66), .60, True, ("psytrance", "forest", "acid")),
    "hardstyle": Genre(
        280, (.48, .10), (.90, .08), (-4.3, 1.6), (.072, .60), (.013, 1.5), .24, (.24, .7),
        (.26, .15), (151, 3), (225, 52), .36, True, ("hardstyle", "raw", "kick")),
    "RnB": Genre(
        200, (.67, .14), (.60, .16), (-6.8, 2.4), (.105, .75), (.14, 1.3), .02, (.14, .6),
        (.49, .21), (156, 29), (225, 46), .53, False, ("velvet", "honey", "slow")),
    "Trap Metal": Genre(
        185, (.65, .16), (.75, .17), (-5.8, 2.8), (.160, .80), (.05, 1.5), .09, (.19, .6),
        (.34, .21), (147, 26), (145, 38), .72, False, ("blood", "rage", "chain")),
    "Rap": Genre(
        175, (.74, .13), (.62, .14), (-6.8, 2.3), (.185, .75), (.10, 1.3), .01, (.14, .6),
        (.44, .21), (128, 28), (200, 50), .52, False, ("city", "money", "crown")),
    "Emo": Genre(
        160, (.49, .12), (.79, .19), (-5.3, 2.4), (.060, .50), (.02, 2.0), .02, (.16, .6),
        (.44, .20), (153, 27), (216, 38), .69, False, ("goodbye", "letter", "october")),
    "Pop": Genre(
        50, (.68, .12), (.70, .15), (-5.5, 1.9), (.065, .55), (.07, 1.4), .02, (.14, .6),
        (.55, .21), (140, 30), (211, 34), .55, False, ("summer", "dance", "honey")),
}
# fmt: on

MOODS = ["silent", "golden", "broken", "electric", "lonely", "crooked", "distant", "paper", "wild"]
THINGS = ["mirror", "river", "signal", "lantern", "garden", "orbit", "shadow", "window", "harbour"]
GUESTS = ["Ada Quill", "Northbound", "Milo Fenn", "DJ Saltwater", "The Lamplighters", "Juno Reyes"]
OCCASIONS = ["Sessions", "Selection", "Nights", "Collective", "Weekly", "Anthems", "Archive"]
PLAIN_PLAYLISTS = ["Friday Warm Up", "Running Late", "Loud Speakers Only", "Deep Focus", "On Tour"]

# Shares of the keys C, C sharp, ... B, and of the time signatures.
KEYS = [0.09, 0.17, 0.07, 0.02, 0.06, 0.07, 0.09, 0.10, 0.08, 0.08, 0.08, 0.09]
TIME_SIGNATURES = {1: 0.005, 3: 0.03, 4: 0.95, 5: 0.015}


def draw_shares(rng: Rng, shape: tuple[float, float], pull: Floats) -> Floats:
    """Draws values in [0.02, 0.99] around a middle, one a row.

    Args:
        rng: Source of randomness.
        shape: Middle and spread.
        pull: One number a row, about -2 to 2: the part of the spread that features share.
    """
    middle, spread = shape
    noise = 0.8 * rng.standard_normal(len(pull)) + 0.6 * pull
    return np.clip(middle + spread * noise, 0.02, 0.99)


def draw_skewed(rng: Rng, shape: tuple[float, float], pull: Floats) -> Floats:
    """Draws log-normal values in [0, 0.99], one a row; arguments as in draw_shares."""
    median, spread = shape
    noise = 0.8 * rng.standard_normal(len(pull)) + 0.6 * pull
    return np.minimum(median * np.exp(spread * noise), 0.99)


def draw_instrumentalness(rng: Rng, share: float, rows: int) -> Floats:
    """Draws high values for the share of songs without a voice and almost 0 for the others."""
    voiceless = np.clip(rng.normal(0.8, 0.13, rows), 0.0, 0.98)
    sung = np.minimum(1e-5 * np.exp(3.5 * rng.standard_normal(rows)), 0.6)
    return np.where(rng.random(rows) < share, voiceless, sung)


def write_song_name(rng: Rng, words: tuple[str, ...]) -> str:
    """Invents a song's name; one in three holds a word that its genre is fond of."""
    last = rng.choice(words) if rng.random() < 0.35 else rng.choice(THINGS)
    name = f"{rng.choice(MOODS)} {last}".title()
    extra = rng.random()
    if extra < 0.12:
        return f"{name} (feat. {rng.choice(GUESTS)})"
    return name.lower() if extra > 0.9 else name


def write_playlist_title(rng: Rng, words: tuple[str, ...]) -> str:
    """Picks a playlist's title; every third one tells nothing about the genre."""
    if rng.random() < 0.35:
        return str(rng.choice(PLAIN_PLAYLISTS))
    return f"{rng.choice(words)} {rng.choice(OCCASIONS)}".title()


def write_labels(rng: Rng, genre: Genre) -> list[str | None]:
    """Writes one song name or playlist title a row; few are None."""
    write = write_playlist_title if genre.playlist else write_song_name
    labels = [write(rng, genre.words) for _ in range(genre.rows)]
    missing = rng.random(genre.rows) < LABEL_NULL_SHARE
    return [None if gone else label for label, gone in zip(labels, missing, strict=True)]


def make_genre(rng: Rng, name: str, genre: Genre) -> Columns:
    """Makes the songs of one genre: values by column, None where one is missing."""
    rows = genre.rows
    # Louder songs are more energetic and less acoustic: one number a song moves all three.
    drive = rng.standard_normal(rows)
    loudness = genre.loudness[0] + genre.loudness[1] * (0.6 * drive + 0.8 * rng.normal(size=rows))
    quiet = rng.random(rows) < LOUDNESS_NULL_SHARE
    labels = write_labels(rng, genre)
    nothing = [None] * rows
    seconds = np.clip(rng.normal(*genre.duration, rows), 40, 800)
    return {
        "danceability": draw_shares(rng, genre.danceability, -0.5 * drive).round(3).tolist(),
        "energy": draw_shares(rng, genre.energy, drive).round(3).tolist(),
        "key": rng.choice(12, rows, p=KEYS).tolist(),
        "loudness": [
            None if gone else round(float(value), 3)
            for value, gone in zip(np.clip(loudness, -40, 3), quiet, strict=True)
        ],
        "mode": (rng.random(rows) < genre.major).astype(int).tolist(),
        "speechiness": draw_skewed(rng, genre.speechiness, 0.0 * drive).round(4).tolist(),
        "acousticness": draw_skewed(rng, genre.acousticness, -drive).round(5).tolist(),
        "instrumentalness": draw_instrumentalness(rng, genre.instrumental, rows).round(6).tolist(),
        "liveness": draw_skewed(rng, genre.liveness, 0.5 * drive).round(4).tolist(),
        "valence": draw_shares(rng, genre.valence, 0.3 * drive).round(4).tolist(),
        "tempo": np.clip(rng.normal(*genre.tempo, rows), 58, 220).round(3).tolist(),
        "type": ["audio_features"] * rows,
        "duration_ms": (1000 * seconds).astype(int).tolist(),
        "time_signature": rng.choice(
            list(TIME_SIGNATURES), rows, p=list(TIME_SIGNATURES.values())
        ).tolist(),
        "genre": [name] * rows,
        "song_name": nothing if genre.playlist else labels,
        "title": labels if genre.playlist else nothing,
    }


def make_songs(seed: int = SEED) -> pa.Table:
    """Makes the whole table: all genres, duplicates added, rows shuffled.

    Returns:
        A table of 4,080 rows and the 17 columns of the real set: float64, int64 and string;
        loudness, song_name and title hold nulls.
    """
    rng = np.random.default_rng(seed)
    tables = [pa.table(make_genre(rng, name, genre)) for name, genre in GENRES.items()]
    songs = pa.concat_tables(tables, promote_options="permissive")
    repeated = rng.choice(songs.num_rows, round(DUPLICATE_SHARE * songs.num_rows), replace=False)
    order = rng.permutation(np.concatenate([np.arange(songs.num_rows), repeated]))
    return songs.take(pa.array(order))


def main() -> None:
    """Writes the table to the file named on the command line, else beside this script."""
    here = Path(__file__).with_name("songs.parquet")
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    songs = make_songs()
    pq.write_table(songs, output, compression="zstd")
    sys.stdout.write(f"{output}: {songs.num_rows} rows, {output.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
