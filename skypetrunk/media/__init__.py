"""
Media: the relay between RTP of a PBX and SRTP of a carrier.
"""

from skypetrunk.media.plane import MediaPlane

__all__ = ["MediaPlane"]
