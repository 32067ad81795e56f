"""Galleries: a folder of identities → an index on disk → exact search."""

from demo.gallery.address import Address
from demo.gallery.archive import Unpacked, check_name, unpack_archive
from demo.gallery.build import delete_gallery
from demo.gallery.change import add_photos, delete_photos, remove_photos, rename
from demo.gallery.entries import Entry
from demo.gallery.first_use import open_or_build
from demo.gallery.folder import Photo, has_photos, list_photos, passed_over
from demo.gallery.fresh import Freshness
from demo.gallery.index import Gallery
from demo.gallery.left_out import in_short, left_out, people_left_out
from demo.gallery.manifest import Failure, find_index
from demo.gallery.milvus import MilvusHome
from demo.gallery.names import PHOTO_SUFFIXES, is_picture, person_named
from demo.gallery.own import checked_person, keep_photos, person_of, take_in
from demo.gallery.recall import measure_recall, what_is_missed
from demo.gallery.records import INDEXES

__all__ = ["Address", "Entry", "Failure", "Freshness", "Gallery", "INDEXES", "MilvusHome", "PHOTO_SUFFIXES", "Photo",
           "Unpacked", "add_photos", "check_name", "checked_person", "delete_gallery", "delete_photos", "find_index",
           "has_photos", "in_short", "is_picture", "keep_photos", "left_out", "list_photos", "measure_recall",
           "open_or_build", "passed_over", "people_left_out", "person_named", "person_of", "remove_photos", "rename",
           "take_in", "unpack_archive", "what_is_missed"]
